# What one does here, by name. `just` alone lists it.

_list:
    @{{just_executable()}} --list --unsorted

# A real gateway's recorded hooks, three plugins, and no session that never ends
demo:
    cargo run --release -- demo

# All tests
test:
    cargo test --workspace
    cargo test --workspace --features hookwire-sdk/opentelemetry --test trace

# Formatting and lints, as CI wants them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --workspace --features hookwire-sdk/opentelemetry --test trace -- -D warnings

# The crates' documentation, with broken links denied
docs:
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --features hookwire-sdk/opentelemetry --no-deps --document-private-items

# Run the dispatcher, with any of its flags
serve *flags:
    cargo run --release -- serve {{flags}}

# User instructions per delivery, held against the committed figures (--write writes new ones)
instructions *flags:
    cargo build --release
    tests/bench/instructions.sh {{flags}}

# Plants faults in a copy of the source, one at a time: the proof's cheap levels have to notice (`--check`: they still apply)
faults *flags:
    tests/faults/run {{flags}}

# More of every level of the proof than CI plays: some hours (`just soak --help`)
soak *flags:
    tests/soak {{flags}}

# A client generated from the .proto alone against a real dispatcher
python:
    cargo build --release
    python3 docs/python/check.py

# The SDKs' and the bridge's generated code, made anew from proto/
generate:
    sdk/python/generate
    sdk/typescript/generate
    sdk/go/generate

# Lints and tests of the SDKs in Python, TypeScript and Go, against a real dispatcher
sdks:
    cargo build --release
    sdk/python/check
    sdk/typescript/check
    sdk/go/check

# Lints and tests of the bridge to OpenClaw, against a real dispatcher
bridges:
    cargo build --release
    bridges/openclaw/check

# `hookwire verify` over the `session_table` of every SDK: about a minute
verify-sdks *flags:
    cargo build --release
    tests/verify/sdks {{flags}}

# A real OpenClaw gateway with the bridge, through restarts, kills and hangs: some minutes (`--measure`: what it costs)
openclaw *flags:
    cargo build --release
    tests/openclaw/run {{flags}}

# Hookwire beside what a user would pick instead, and beside the limit: about ten minutes (`just bench --help`)
bench *flags:
    cargo build --release
    cargo bench -p hookwire-bench -- --docs {{justfile_directory()}}/docs {{flags}}

# Everything that CI runs
ci:
    .ci/run
