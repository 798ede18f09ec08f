//! tmp
fn main() {
    let mut args = std::env::args().skip(1);
    let json = std::fs::read_to_string(args.next().unwrap()).unwrap();
    let results = serde_json::from_str(&json).unwrap();
    hookwire_bench::report::write(&results, std::path::Path::new(&args.next().unwrap())).unwrap();
}
