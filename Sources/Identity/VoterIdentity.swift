/// Who votes. Kinds never meet: a name and a token's subject that read alike are two voters.
package enum VoterIdentity: Hashable, Sendable {
    /// Given by the client, byte by byte.
    case name(String)
    /// The random id of the gateway's own signed voter token.
    case token(VoterToken.ID)
    /// The subject of a valid JWT.
    case subject(String)
}
