//! A small writer of SVG: text stays text, and the reader's colour scheme decides the colours.

use std::fmt::Write as _;

/// What a mark belongs to decides its colour; the second and later series differ in their marks, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Hookwire.
    Ours,
    /// What nothing can be faster than.
    Limit,
    /// What a user would pick instead.
    Peer,
    /// Further lines of the same chart.
    Second,
    /// As `Second`.
    Third,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Limit => "limit",
            Self::Peer => "peer",
            Self::Second => "second",
            Self::Third => "third",
        }
    }
}

/// Where a text's place is on it.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// How a mark looks, so that colour is not all that tells two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Triangle,
}

/// Light by default; a background of its own keeps it legible where a page and its reader's system disagree.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
.title{font-size:15px;font-weight:600}.quiet{fill:#59636e;font-size:12px}.paper{fill:#fff}\
.grid{stroke:#d1d9e0;stroke-width:1}.whisker{stroke:#1f2328;stroke-width:1.25}\
.ours{fill:#0969da;stroke:#0969da}.limit{fill:#818b98;stroke:#818b98}.peer{fill:#bc6a1c;stroke:#bc6a1c}\
.second{fill:#1a7f37;stroke:#1a7f37}.third{fill:#8250df;stroke:#8250df}\
.line{fill:none;stroke-width:2}rect.bar,.mark{stroke:none}\
@media(prefers-color-scheme:dark){\
text{fill:#f0f6fc}.quiet{fill:#9198a1}.paper{fill:#0d1117}.grid{stroke:#3d444d}.whisker{stroke:#f0f6fc}\
.ours{fill:#4493f8;stroke:#4493f8}.limit{fill:#768390;stroke:#768390}.peer{fill:#d9924a;stroke:#d9924a}\
.second{fill:#3fb950;stroke:#3fb950}.third{fill:#ab7df8;stroke:#ab7df8}\
.line{fill:none}rect.bar,.mark{stroke:none}}";

/// The average width of a character at 13 pixels, in the wider of the fonts that it may come to.
const CHARACTER: f64 = 7.9;

/// How wide a text will be at most, in pixels, give or take the reader's font.
pub fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// A picture that is being drawn.
#[derive(Debug)]
pub struct Svg {
    body: String,
}

impl Svg {
    /// An empty sheet, with what it shows in words for those who do not see it.
    pub fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let mut svg = Self { body: String::new() };
        svg.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" role=\"img\" aria-labelledby=\"title desc\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"100%\" height=\"100%\" rx=\"6\"/>",
            escaped(title),
            escaped(description)
        ));
        svg.text(16.0, 26.0, Anchor::Start, "title", title);
        svg
    }

    /// A text; `class` is `title`, `quiet` or empty.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    /// A straight line that belongs to no series: `grid` or `whisker`.
    pub fn rule(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// A filled rectangle.
    pub fn bar(&mut self, tone: Tone, (x, y): (f64, f64), width: f64, height: f64) {
        let class = tone.class();
        self.push(format_args!(
            "<rect class=\"bar {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"/>"
        ));
    }

    /// A line through points.
    pub fn line(&mut self, tone: Tone, points: &[(f64, f64)]) {
        let (class, mut places) = (tone.class(), String::new());
        for (x, y) in points {
            let _ = write!(places, "{x:.1},{y:.1} "); // a String takes everything
        }
        let places = places.trim_end();
        self.push(format_args!("<polyline class=\"{class} line\" points=\"{places}\"/>"));
    }

    /// One mark at a point.
    pub fn mark(&mut self, tone: Tone, mark: Mark, (x, y): (f64, f64)) {
        let class = tone.class();
        match mark {
            Mark::Circle => {
                self.push(format_args!(
                    "<circle class=\"{class} mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"
                ));
            }
            Mark::Square => {
                let (x, y) = (x - 4.0, y - 4.0);
                self.push(format_args!(
                    "<rect class=\"{class} mark\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"8\" height=\"8\"/>"
                ));
            }
            Mark::Triangle => {
                let (top, bottom, left, right) = (y - 5.0, y + 4.0, x - 5.0, x + 5.0);
                self.push(format_args!(
                    "<polygon class=\"{class} mark\" points=\"{x:.1},{top:.1} {right:.1},{bottom:.1} {left:.1},{bottom:.1}\"/>"
                ));
            }
        }
    }

    /// The file's text.
    pub fn finish(mut self) -> String {
        self.body.push_str("</svg>\n");
        self.body
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = self.body.write_fmt(element); // a String takes everything
        self.body.push('\n');
    }
}

/// Text as XML takes it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push(' '), // XML 1.0 has no way to say it
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_would_read_is_escaped() {
        assert_eq!(escaped("a <b> & \"c\"\u{0}"), "a &lt;b&gt; &amp; &quot;c&quot; ");
    }

    #[test]
    fn a_picture_says_what_it_is_in_words() {
        let drawn = Svg::new(10.0, 10.0, "one & two", "three < four").finish();
        assert!(drawn.contains("<title id=\"title\">one &amp; two</title>"), "{drawn}");
        assert!(drawn.contains("<desc id=\"desc\">three &lt; four</desc>"), "{drawn}");
        assert!(drawn.contains("prefers-color-scheme:dark") && drawn.ends_with("</svg>\n"), "{drawn}");
    }
}
