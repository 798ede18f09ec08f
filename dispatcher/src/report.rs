//! The drain report as one JSON line. (A stub: to be replaced.)

use hookwire_protocol::v1::DrainReport;

/// Writes the report as one line of JSON, without a newline.
pub fn to_json(report: &DrainReport) -> String {
    serde_json::json!({ "scope": report.scope, "budget_ms": report.budget_ms }).to_string()
}
