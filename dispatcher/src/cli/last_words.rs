//! The end of what a process said: all that is kept of it, however much that was.

/// So many of the last bytes.
#[derive(Debug)]
pub(super) struct LastWords {
    kept: Vec<u8>,
    most: usize,
}

impl LastWords {
    /// Nothing yet; at most so many bytes are kept.
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most }
    }

    /// It said something.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(piece);
        let beyond = self.kept.len().saturating_sub(self.most);
        self.kept.drain(..beyond);
    }

    /// As text, without the spaces around it, and without what was cut in two at its beginning.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).trim().trim_start_matches(char::REPLACEMENT_CHARACTER).to_owned()
    }
}
