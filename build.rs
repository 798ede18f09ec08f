//! Compiles `proto/` with protox, so that nobody needs protoc.

use std::{env, error::Error, fs, path::Path};

const FILES: [&str; 4] = [
    "hookwire/v1/event.proto",
    "hookwire/v1/hook_service.proto",
    "hookwire/v1/gateway_service.proto",
    "hookwire/v1/admin_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // For reflection, which needs no comments.
    let bare = protox::Compiler::new(["proto"])?.open_files(FILES)?.encode_file_descriptor_set();
    fs::write(Path::new(&env::var("OUT_DIR")?).join("hookwire.v1.bin"), bare)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::codec::OnePiece")
        // Payloads pass through untouched: a slice of what arrived, never a copy.
        .bytes(".hookwire.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
