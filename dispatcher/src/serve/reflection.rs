//! gRPC reflection: what the services and their messages are, for clients that have no `.proto`.

use hookwire_protocol::FILE_DESCRIPTOR_SET;
use tonic::service::RoutesBuilder;
use tonic_reflection::server::Builder;

/// Adds both versions of it: older clients know only the alpha.
pub(crate) fn add_to(routes: &mut RoutesBuilder) {
    let told = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let compiled = "what is compiled in is read by a test";
    routes
        .add_service(told().build_v1().expect(compiled))
        .add_service(told().build_v1alpha().expect(compiled));
}
