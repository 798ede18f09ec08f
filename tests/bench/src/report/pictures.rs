//! The charts of the page: which rows each shows, and how it is called.

use super::{
    chart::{
        Caption,
        bars::{Bar, bars},
        dots::{Dots, dots},
        lines::{Line, lines},
        svg::Tone,
    },
    columns::{micros, millis},
    figure, names,
    rows::{Rows, dispatcher_cpu, is_of, total_cpu},
};
use crate::{
    results::{Metric, Results, Row, Runtime, Scenario, Spread},
    stock::BATCHES,
};

/// A chart as a file beside the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// What it shows, for who does not see it.
    pub alt: String,
    /// The file.
    pub svg: String,
}

/// The runtime that charts show: the one that every contender has in every scenario.
const SHOWN: Runtime = Runtime::CurrentThread;

/// What bars of rates count.
const RATE_UNIT: &str =
    "deliveries a second; current_thread, the daemon as it is served; the line spans the rounds";

/// Every chart for which there are rows.
pub fn pictures(results: &Results) -> Vec<Picture> {
    let rows = Rows::of(results);
    let pictures = [
        rates(rows, 1, "rate-1", "One subscriber: acknowledged deliveries a second"),
        rates(rows, 8, "rate-8", "8 subscribers: acknowledged deliveries a second"),
        rates(rows, 64, "rate-64", "64 subscribers: acknowledged deliveries a second"),
        fan_out(rows),
        latency(rows),
        drains(rows),
        clients(rows),
        subscribers(rows),
        sessions(rows),
    ];
    pictures.into_iter().flatten().collect()
}

fn rates(rows: Rows<'_>, subscribers: u32, name: &'static str, title: &str) -> Option<Picture> {
    let shown =
        rows.scenario(Scenario::Throughput).filter(|row| row.subscribers == subscribers && is_of(row, SHOWN));
    bar_chart(name, title, RATE_UNIT, shown, figure::count, |row| row.spread(Metric::DeliveriesPerSecond))
}

fn fan_out(rows: Rows<'_>) -> Option<Picture> {
    let wide = |row: &&Row| row.subscribers == 64 && is_of(row, SHOWN);
    // A broker's bar would be so long that nobody could tell the others apart: it is in the table.
    let direct = |row: &&Row| is_ours(&row.contender) || row.spread(Metric::BrokerCpuNs).is_none();
    let shown = rows.scenario(Scenario::Throughput).filter(wide).filter(direct);
    bar_chart(
        "fan-out-cpu",
        "64 subscribers: CPU time of who fans out, without the brokers",
        "for each delivery; current_thread, the daemon as it is served; the line spans the rounds",
        shown,
        figure::nanos,
        dispatcher_cpu,
    )
}

fn clients(rows: Rows<'_>) -> Option<Picture> {
    let title = "Plugins in stock grpcio and grpc-js: acknowledged deliveries a second";
    let shown = rows.scenario(Scenario::Clients);
    bar_chart(
        "clients",
        title,
        "deliveries a second; the line spans the rounds",
        shown,
        figure::count,
        |row| row.spread(Metric::DeliveriesPerSecond),
    )
}

fn bar_chart<'a>(
    name: &'static str,
    title: &str,
    unit: &str,
    shown: impl Iterator<Item = &'a Row>,
    write: fn(f64) -> String,
    figure: fn(&Row) -> Option<Spread>,
) -> Option<Picture> {
    let bar = |row: &Row| Some(Bar { label: row.contender.clone(), tone: tone(row), spread: figure(row)? });
    let drawn: Vec<_> = shown.filter_map(bar).collect();
    let each = drawn.iter().map(|bar| format!("{}: {}", bar.label, write(bar.spread.median)));
    let alt = described(title, each)?;
    let caption = Caption { title, description: &alt, unit };
    let svg = bars(&caption, &drawn, write);
    Some(Picture { name, svg, alt })
}

fn latency(rows: Rows<'_>) -> Option<Picture> {
    let title = "1,000 events a second: from emission to receipt";
    let metrics = [Metric::P50Us, Metric::P99Us, Metric::P999Us];
    let shown = rows.scenario(Scenario::Latency).filter(|row| is_of(row, SHOWN));
    let drawn = shown.filter_map(|row| {
        let median = |metric| row.spread(metric).map(|spread| spread.median);
        let values = metrics.into_iter().map(median).collect::<Option<Vec<_>>>()?;
        Some(Dots { label: row.contender.clone(), tone: tone(row), values })
    });
    let drawn: Vec<_> = drawn.collect();
    let each = drawn.iter().map(|dots| format!("{}: p50 {}", dots.label, micros(dots.values[0])));
    let alt = described(title, each)?;
    let caption =
        Caption { title, description: &alt, unit: "current_thread, the daemon as it is served; logarithmic" };
    let svg = dots(&caption, &["p50", "p99", "p99.9"], &drawn, micros);
    Some(Picture { name: "latency", svg, alt })
}

/// One line for each contender over the sessions, all with as many subscribers.
fn drains(rows: Rows<'_>) -> Option<Picture> {
    let widest = rows.scenario(Scenario::Drain).map(|row| row.subscribers).max()?;
    let shown = rows.scenario(Scenario::Drain).filter(|row| row.subscribers == widest && is_of(row, SHOWN));
    let points = shown.filter_map(|row| {
        let ms = row.spread(Metric::DrainMs)?.median;
        Some((row.contender.clone(), (row.sessions as f64, ms)))
    });
    line_chart(
        "drain",
        &format!("Drain with {widest} subscribers: from the order to the last acknowledgement"),
        "time",
        "sessions; both axes are logarithmic",
        points,
        millis,
    )
}

fn subscribers(rows: Rows<'_>) -> Option<Picture> {
    let fewest = rows.scenario(Scenario::Growth).map(|row| row.sessions).min()?;
    let shown = rows.scenario(Scenario::Growth).filter(|row| row.sessions == fewest);
    let points = shown.flat_map(|row| {
        let at = |name: &str, cpu: Option<f64>| Some((name.to_owned(), (f64::from(row.subscribers), cpu?)));
        [
            at("dispatcher", dispatcher_cpu(row).map(|spread| spread.median)),
            at("all processes", total_cpu(row)),
        ]
    });
    line_chart(
        "growth-subscribers",
        "More subscribers: CPU time of a delivery",
        "CPU for each delivery",
        "subscribers; both axes are logarithmic",
        points.flatten(),
        figure::nanos,
    )
}

fn sessions(rows: Rows<'_>) -> Option<Picture> {
    let fewest = rows.scenario(Scenario::Growth).map(|row| row.sessions).min()?;
    let many = || rows.scenario(Scenario::Growth).filter(move |row| row.sessions > fewest);
    let points = many().filter_map(|row| {
        let cpu = dispatcher_cpu(row)?.median;
        let label = match row.subscribers {
            1 => "1 subscriber".to_owned(),
            many => format!("{many} subscribers"),
        };
        Some((label, (row.sessions as f64, cpu)))
    });
    line_chart(
        "growth-sessions",
        "More live sessions: CPU time of a delivery in the dispatcher",
        "CPU for each delivery",
        "live sessions; both axes are logarithmic",
        points,
        figure::nanos,
    )
}

/// Points with the same label are one line.
fn line_chart(
    name: &'static str,
    title: &str,
    unit: &str,
    across: &str,
    points: impl Iterator<Item = (String, (f64, f64))>,
    write: fn(f64) -> String,
) -> Option<Picture> {
    let mut drawn: Vec<Line> = Vec::new();
    for (label, point) in points {
        match drawn.iter_mut().find(|line| line.label == label) {
            Some(line) => line.points.push(point),
            None => drawn.push(Line { label, tone: Tone::Ours, points: vec![point] }),
        }
    }
    colour(&mut drawn);
    drawn.iter_mut().for_each(|line| line.points.sort_by(|one, other| one.0.total_cmp(&other.0)));
    let each = drawn.iter().filter_map(|line| {
        let ((from, low), (to, high)) = (line.points.first()?, line.points.last()?);
        let (from, low, to, high) = (figure::count(*from), write(*low), figure::count(*to), write(*high));
        Some(format!("{}: {low} at {from}, {high} at {to}", line.label))
    });
    let alt = described(title, each)?;
    let caption = Caption { title, description: &alt, unit };
    let svg = lines(&caption, across, &drawn, write);
    Some(Picture { name, svg, alt })
}

/// A chart in a sentence; none where nothing would be on it.
fn described(title: &str, each: impl Iterator<Item = String>) -> Option<String> {
    let each: Vec<_> = each.collect();
    (!each.is_empty()).then(|| format!("{title}. {}.", each.join("; ")))
}

fn tone(row: &Row) -> Tone {
    match row.contender.as_str() {
        names::RAW_TCP | names::RAW_UNIX | names::PROTOBUF => Tone::Limit,
        name if is_ours(name) => Tone::Ours,
        _ => Tone::Peer,
    }
}

fn is_ours(contender: &str) -> bool {
    [names::EMBEDDED, names::DAEMON].contains(&contender) || contender.ends_with(BATCHES)
}

/// Hookwire has its own colour; where it is not one of the lines, the first has it.
fn colour(lines: &mut [Line]) {
    let ours = lines.iter().position(|line| is_ours(&line.label)).unwrap_or(0);
    let others = [Tone::Peer, Tone::Second, Tone::Third].into_iter().cycle();
    let lines = lines.iter_mut().enumerate().filter(|(index, _)| *index != ours);
    lines.zip(others).for_each(|((_, line), tone)| line.tone = tone);
}
