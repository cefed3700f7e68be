// SPDX-License-Identifier: GPL-3.0-or-later
//! Colours and symbols. Only the terminal's own 16 colours, no background of our own, and nothing that colour alone
//! says, so that it reads on light and dark, without colour and without Unicode.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// How to draw, decided once at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Whether colours may be used (`NO_COLOR`).
    pub(crate) colour: bool,
    /// The characters to draw with.
    pub(crate) symbols: &'static Symbols,
}

/// Every character that is not plain ASCII, with its ASCII stand-in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Symbols {
    /// Whether these are the Unicode ones.
    pub(crate) unicode: bool,
    /// Connected, live.
    pub(crate) on: &'static str,
    /// Not connected.
    pub(crate) off: &'static str,
    /// Switched off by the user.
    pub(crate) stopped: &'static str,
    /// Verified key, good input.
    pub(crate) good: &'static str,
    /// Blocked, bad input, missed.
    pub(crate) bad: &'static str,
    /// They called.
    pub(crate) incoming: &'static str,
    /// We called.
    pub(crate) outgoing: &'static str,
    /// Repetition count.
    pub(crate) times: &'static str,
    /// The selected row.
    pub(crate) pointer: &'static str,
    /// Something was cut.
    pub(crate) ellipsis: &'static str,
    /// Nearly.
    pub(crate) about: &'static str,
    /// Between two words.
    pub(crate) dot: &'static str,
    /// Meter: sounding.
    pub(crate) full: &'static str,
    /// Meter: not sounding.
    pub(crate) empty: &'static str,
    /// Sparkline, low to high.
    pub(crate) spark: [&'static str; 8],
    /// Frames of panes.
    pub(crate) border: border::Set<'static>,
}

const UNICODE: Symbols = Symbols {
    unicode: true,
    on: "●",
    off: "○",
    stopped: "■",
    good: "✓",
    bad: "✗",
    incoming: "↙",
    outgoing: "↗",
    times: "×",
    pointer: "▸",
    ellipsis: "…",
    about: "≈",
    dot: "·",
    full: "▇",
    empty: "·",
    spark: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    border: border::PLAIN,
};

const ASCII: Symbols = Symbols {
    unicode: false,
    on: "*",
    off: "o",
    stopped: "#",
    good: "+",
    bad: "x",
    incoming: "<",
    outgoing: ">",
    times: "x",
    pointer: ">",
    ellipsis: "..",
    about: "~",
    dot: "-",
    full: "#",
    empty: ".",
    spark: ["_", ".", ",", "-", "=", "+", "*", "#"],
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
};

impl Theme {
    /// A theme with or without Unicode symbols and colours.
    pub(crate) const fn new(unicode: bool, colour: bool) -> Self {
        Self { colour, symbols: if unicode { &UNICODE } else { &ASCII } }
    }

    const fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// Headings and the frame of the pane in focus.
    pub(crate) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Labels and less important text.
    pub(crate) const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Keys in footers and hints.
    pub(crate) const fn key(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// All is well.
    pub(crate) const fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    /// Look here.
    pub(crate) const fn warning(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Something is wrong.
    pub(crate) const fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A switch that the user must not overlook: muted, deafened, on hold.
    pub(crate) const fn alarm(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD).add_modifier(Modifier::REVERSED)
    }

    /// The selected row of the pane in focus.
    pub(crate) const fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_no_style_has_one() {
        let theme = Theme::new(true, false);
        for style in [theme.key(), theme.good(), theme.warning(), theme.bad(), theme.alarm(), theme.selected()] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }

    #[test]
    fn the_ascii_symbols_are_ascii() {
        let s = Theme::new(false, true).symbols;
        let all = [s.on, s.off, s.stopped, s.good, s.bad, s.incoming, s.outgoing, s.times, s.pointer, s.ellipsis];
        assert!(all.iter().chain(&[s.about, s.dot, s.full, s.empty]).chain(&s.spark).all(|s| s.is_ascii()));
    }
}
