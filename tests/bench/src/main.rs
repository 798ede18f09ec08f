//! `cargo bench -p hookwire-bench`: the comparison. `cargo test --all-targets` starts it too, and it does nothing.

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!("{} cases", hookwire_bench::runs::cases(1.0).len());
}
