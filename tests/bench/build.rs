//! Compiles the peers' services with protox, over the messages of `hookwire.v1`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["peers.proto"], ["proto", "../../proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .extern_path(".hookwire.v1", "::hookwire_protocol::v1")
        .compile_fds(descriptors)?;
    Ok(())
}
