import CReactor

/// What TLS handshakes are made with: certificates and their keys. Loops share it.
package final class TLSContext: @unchecked Sendable {
    // Complete before `init` returns; C counts who uses it, and locks the keys of session tickets.
    let handle: OpaquePointer
    package let files: [CertificateFiles]

    /// Reads the files.
    /// - Parameters:
    ///   - files: a client gets the first whose certificate is valid for the name that it asks for,
    ///     or the first of all.
    ///   - ticketPeriodSeconds: how long one key seals session tickets.
    /// - Throws: all that is wrong with them.
    package init(_ files: [CertificateFiles], ticketPeriodSeconds: UInt32 = 3_600)
        throws(TLSProblems)
    {
        precondition(!files.isEmpty, "there is no TLS without a certificate")
        guard let handle = ps_tls_create(ticketPeriodSeconds) else {
            throw TLSProblems(descriptions: ["there is not enough memory, or no randomness"])
        }
        let problems = files.compactMap { $0.problem(addingTo: handle) }
        if !problems.isEmpty {
            ps_tls_release(handle)
            throw TLSProblems(descriptions: problems)
        }
        self.handle = handle
        self.files = files
    }

    deinit { ps_tls_release(handle) }

    /// When the certificate of `files[index]` is valid, in Unix seconds.
    package func validity(ofFilesAt index: Int) -> (from: Int64, until: Int64) {
        var from: Int64 = 0
        var until: Int64 = 0
        ps_tls_validity(handle, index, &from, &until)
        return (from, until)
    }
}

/// A certificate with the chain behind it, and its key, both PEM.
package struct CertificateFiles: Equatable, Sendable {
    package let certificatePath: String
    package let keyPath: String

    package init(certificatePath: String, keyPath: String) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
    }

    fileprivate func problem(addingTo handle: OpaquePointer) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { problem in
            let added = ps_tls_add(
                handle, certificatePath, keyPath, problem.baseAddress, problem.count)
            return added == PS_OK.rawValue ? nil : String(cString: problem.baseAddress!)
        }
    }
}

/// Why certificates cannot be used, a sentence for each.
package struct TLSProblems: Error, Equatable, CustomStringConvertible {
    package let descriptions: [String]
    package var description: String { descriptions.joined(separator: "; ") }
}

extension Loop {
    /// Handshakes that begin from here on are made with `context`; open sockets keep theirs.
    /// Only on a loop that was created with TLS.
    package func use(_ context: TLSContext) { ps_loop_use_tls(handle, context.handle) }
}
