//! Progress on stderr: a bar on a terminal, else a line every ten seconds, so that a log is not flooded.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::Output;

const EVERY: Duration = Duration::from_secs(10);

/// A bar, or the lines in its place.
#[derive(Debug)]
pub struct Bar {
    bar: Option<ProgressBar>,
    lines: bool,
    last: Instant,
}

/// What a bar shows.
#[derive(Debug)]
pub struct Line {
    /// How much is done.
    pub done: u64,
    /// Of how much; 0 when nobody knows.
    pub total: u64,
    /// The rest, in words.
    pub text: String,
}

impl Bar {
    /// A bar for counts of things, or of bytes.
    #[must_use]
    pub fn new(out: Output, is_bytes: bool) -> Self {
        let wanted = !out.is_quiet();
        let bar = (wanted && std::io::stderr().is_terminal()).then(|| {
            let template = if is_bytes {
                "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}"
            } else {
                "{bar:30} {human_pos}/{human_len} {msg}"
            };
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            // A template that indicatif refuses would show in the test below.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self { lines: wanted && bar.is_none(), bar, last: Instant::now() }
    }

    /// Shows where things are.
    pub fn show(&mut self, line: &Line) {
        if let Some(bar) = &self.bar {
            bar.set_length(line.total.max(line.done));
            bar.set_position(line.done);
            bar.set_message(line.text.clone());
        } else if self.lines && self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            match line.total {
                0 => eprintln!("{} {}", line.done, line.text),
                total => eprintln!("{}/{total} {}", line.done, line.text),
            }
        }
    }

    /// Takes the bar away; what follows on the terminal begins on a clean line.
    pub fn clear(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_templates_are_ones_that_indicatif_takes() {
        for template in
            ["{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}", "{bar:30} {human_pos}/{human_len} {msg}"]
        {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
