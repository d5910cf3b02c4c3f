import Glibc
import Reactor
import Testing

extension ReactorTests {
    @Suite struct TLSFileTests {
        private let folder = CertificateFolder()

        private func problems(_ files: CertificateFiles...) -> [String] {
            do {
                _ = try TLSContext(files)
                return []
            } catch {
                return error.descriptions
            }
        }

        private func files(_ certificate: String, _ key: String) -> CertificateFiles {
            CertificateFiles(certificatePath: certificate, keyPath: key)
        }

        @Test func `a file that is not there is named, and why it cannot be read`() {
            let good = folder.make("a.test")
            let nowhere = "\(folder.path)/nowhere"
            let reason = "\(nowhere) cannot be read: No such file or directory"
            #expect(problems(files(nowhere, good.keyPath)) == [reason])
            #expect(problems(files(good.certificatePath, nowhere)) == [reason])
        }

        @Test func `files with something else in them are named`() {
            let good = folder.make("a.test")
            let text = folder.write("Hello\n", to: "text")
            #expect(problems(files(text, good.keyPath)) == ["\(text) holds no PEM certificate"])
            #expect(
                problems(files(good.certificatePath, text)) == ["\(text) holds no PEM private key"])
            // Each in the place of the other.
            #expect(
                problems(files(good.keyPath, good.certificatePath))
                    == ["\(good.keyPath) holds no PEM certificate"])
            #expect(
                problems(files(good.certificatePath, good.certificatePath))
                    == ["\(good.certificatePath) holds no PEM private key"])
            let empty = folder.write("", to: "empty")
            #expect(problems(files(empty, good.keyPath)) == ["\(empty) holds no PEM certificate"])
        }

        @Test func `a damaged certificate is told from none`() {
            let good = folder.make("a.test")
            let pem = CertificateFolder.read(good.certificatePath)
            let line = pem.split(separator: "\n")[3]
            let damaged = folder.write(
                pem.replacing(line, with: line.reversed()), to: "damaged.pem")
            let found = problems(files(damaged, good.keyPath))
            #expect(found.count == 1)
            #expect(found[0].hasPrefix("\(damaged) holds a broken certificate: "))
            let chain = folder.write(pem + CertificateFolder.read(damaged), to: "chain.pem")
            #expect(
                problems(files(chain, good.keyPath))[0]
                    .hasPrefix("\(chain) holds a broken certificate: "))
        }

        @Test func `a key must belong to its certificate and open without a passphrase`() {
            let one = folder.make("a.test")
            let other = folder.make("b.test")
            let locked = folder.make("c.test", passphrase: "secret")
            #expect(
                problems(
                    files(one.certificatePath, other.keyPath), other, locked)
                    == [
                        "\(other.keyPath) does not belong to its certificate: \(one.certificatePath)",
                        "\(locked.keyPath) is encrypted; give a key without a passphrase",
                    ])
        }

        @Test func `a certificate says when it is valid`() throws {
            let now = Int64(time(nil))
            let past = folder.make("past.test", validFrom: -7_200, until: -3_600)
            let coming = folder.make("coming.test", validFrom: 3_600, until: 7_200)
            let context = try TLSContext([past, coming])
            #expect(abs(context.validity(ofFilesAt: 0).until - (now - 3_600)) < 60)
            #expect(abs(context.validity(ofFilesAt: 1).from - (now + 3_600)) < 60)
        }
    }
}
