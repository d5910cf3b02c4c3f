/// What programs read to know the API: of HTTP as OpenAPI, of the live messages as AsyncAPI. The files
/// as they were built into the program.
package enum Description {
    package static let openAPI = Files.openapi_json
    package static let asyncAPI = Files.asyncapi_json
}
