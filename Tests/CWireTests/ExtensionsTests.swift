import CWire
import Testing

@Suite struct ExtensionsTests {
    /// nil: declined; else whether the answer names the window.
    private func accepted(_ fields: String...) -> Bool? {
        let lines = fields.map { "Sec-WebSocket-Extensions: \($0)\r\n" }.joined()
        return withParsedHead(Array("GET / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n".utf8)) {
            answer, head in
            #expect(answer == PS_DONE.rawValue)
            var namesWindow = false
            return ps_ws_offers_deflate(head, &namesWindow) ? namesWindow : nil
        }
    }

    @Test(arguments: [
        "permessage-deflate", "Permessage-Deflate", "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=8",
        "permessage-deflate ; client_max_window_bits = 15",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=\"10\"",
        "x-webkit-deflate-frame, permessage-deflate",
        "x; y=\"z\"; w, permessage-deflate",
        "permessage-deflate; client_max_window_bits=99, permessage-deflate",
    ])
    func `an offer that can be met`(_ offer: String) { #expect(accepted(offer) == false) }

    @Test(arguments: ["9", "10", "12", "15", "\"15\""])
    func `a window for the server`(_ bits: String) {
        #expect(accepted("permessage-deflate; server_max_window_bits=\(bits)") == true)
    }

    @Test(arguments: [
        "", "x", "permessage-deflat", "permessage-deflate2", "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; client_max_window_bits=99",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"10",
        "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
        "permessage-deflate;", "permessage-deflate permessage-deflate", "=, permessage-deflate",
        "permessage-deflate; a=\"b\\\"c\"", ";permessage-deflate",
    ])
    func `an offer that cannot`(_ offer: String) { #expect(accepted(offer) == nil, "\(offer)") }

    @Test func `the first that can be met counts, in whatever field it comes`() {
        let window = "permessage-deflate; server_max_window_bits=10"
        #expect(accepted("x", window, "permessage-deflate") == true)
        #expect(accepted("permessage-deflate, " + window) == false)
        #expect(accepted("permessage-deflate; server_max_window_bits=8, " + window) == true)
        #expect(accepted("=", "permessage-deflate") == false)
        let many = [String](repeating: "permessage-deflate; x", count: 100).joined(separator: ", ")
        #expect(accepted(many) == nil)
        #expect(accepted(many + ", permessage-deflate") == false)
    }
}
