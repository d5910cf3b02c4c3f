/// The page at `/` of the ops listener, for who has no dashboard at hand: it draws what `/metrics`
/// says, in the reader's browser, from when it was opened. The files as they were built into the
/// program.
package enum StatusPage {
    package static let document = Files.status_html
    package static let script = Files.status_js
    package static let style = Files.status_css
}
