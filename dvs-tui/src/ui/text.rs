// SPDX-License-Identifier: GPL-3.0-or-later
//! Fitting text into columns.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::theme::Theme;

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` cut to at most `columns`, ending in an ellipsis if something is missing.
pub(crate) fn cut(text: &str, columns: usize, theme: Theme) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let ellipsis = theme.symbols.ellipsis;
    let room = columns.saturating_sub(width(ellipsis));
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if columns >= width(ellipsis) {
        short.push_str(ellipsis);
    }
    short
}

/// `text` cut or padded to exactly `columns`.
pub(crate) fn fit(text: &str, columns: usize, theme: Theme) -> String {
    let mut text = cut(text, columns, theme);
    let missing = columns.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// `left` and `right` at the two ends of `columns`; the left side gives way.
pub(crate) fn ends(left: &str, right: &str, columns: usize, theme: Theme) -> String {
    let right = cut(right, columns, theme);
    let room = columns.saturating_sub(width(&right));
    let gap = usize::from(room > 0 && !right.is_empty());
    format!("{}{}{right}", fit(left, room - gap, theme), " ".repeat(gap))
}

/// An ID as its first and last characters: enough to tell it from others at a glance, never to compare keys by.
pub(crate) fn short_id(id: &str, theme: Theme) -> String {
    const HEAD: usize = 7;
    const TAIL: usize = 4;
    let length = id.chars().count();
    if length <= HEAD + TAIL + 1 {
        return id.to_owned();
    }
    let head: String = id.chars().take(HEAD).collect();
    let tail: String = id.chars().skip(length - TAIL).collect();
    format!("{head}{}{tail}", theme.symbols.ellipsis)
}

/// `text` broken into pieces of at most `columns` characters; for text without spaces, such as an ID.
pub(crate) fn chunks(text: &str, columns: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(columns.max(1)).map(|piece| piece.iter().collect()).collect()
}

/// `text` broken at blanks into rows of at most `columns`; a longer word is broken anywhere. No-break spaces hold words
/// together and come out as blanks.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word = &word.replace('\u{a0}', " ");
        for piece in if width(word) > columns { chunks(word, columns) } else { vec![word.to_owned()] } {
            match rows.last_mut() {
                Some(row) if width(row) + 1 + width(&piece) <= columns => *row = format!("{row} {piece}"),
                _ => rows.push(piece),
            }
        }
    }
    rows
}

/// A label of `indent` columns, and beside it `value` in as many rows as it needs.
pub(crate) fn labelled(label: &str, indent: usize, value: &str, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let rows = wrap(value, columns.saturating_sub(indent + 1));
    let line = |(index, row): (usize, String)| {
        let label = if index == 0 { label } else { "" };
        Line::from(vec![Span::styled(format!(" {label:<indent$}"), theme.faint()), Span::raw(row)])
    };
    rows.into_iter().enumerate().map(line).collect()
}

/// `text` as indented lines of one style.
pub(crate) fn paragraph(text: &str, columns: usize, style: Style) -> Vec<Line<'static>> {
    wrap(text, columns.saturating_sub(2)).into_iter().map(|row| Line::styled(format!(" {row}"), style)).collect()
}

/// `count thing` or `count things`.
pub(crate) fn plural(count: u32, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Columns that a line takes.
pub(crate) fn line_width(line: &Line<'_>) -> usize {
    line.spans.iter().map(|span| width(&span.content)).sum()
}

/// Joins groups of spans with two blanks, leaving out the groups that no longer fit into `columns`.
pub(crate) fn join_fitting(groups: Vec<Vec<Span<'static>>>, columns: usize) -> Line<'static> {
    let mut line = Line::default();
    for group in groups {
        let gap = if line.spans.is_empty() { 0 } else { 2 };
        let needed: usize = group.iter().map(|span| width(&span.content)).sum();
        if line_width(&line) + gap + needed > columns {
            continue;
        }
        line.spans.push(Span::raw(" ".repeat(gap)));
        line.spans.extend(group);
    }
    line
}

/// Groups of spans with two blanks between them, in as many indented lines of at most `columns` as they need.
pub(crate) fn rows_of(groups: impl Iterator<Item = Vec<Span<'static>>>, columns: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for group in groups {
        let needed: usize = group.iter().map(|span| width(&span.content)).sum();
        match lines.last_mut() {
            Some(line) if line_width(line) + 2 + needed < columns => {
                line.spans.push(Span::raw("  "));
                line.spans.extend(group);
            }
            _ => lines.push(Line::from_iter([Span::raw(" ")].into_iter().chain(group))),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNICODE: Theme = Theme::new(true, true);
    const ASCII: Theme = Theme::new(false, true);

    #[test]
    fn text_is_cut_by_columns_not_by_characters() {
        assert_eq!(cut("Alice", 5, UNICODE), "Alice");
        assert_eq!(cut("Alexander", 5, UNICODE), "Alex…");
        assert_eq!(cut("Alexander", 5, ASCII), "Ale..");
        assert_eq!(cut("アリスとボブ", 5, UNICODE), "アリ…");
        assert_eq!(fit("アリス", 8, UNICODE), "アリス  ");
        assert_eq!(cut("Alice", 0, UNICODE), "");
    }

    #[test]
    fn the_right_end_stays_and_the_left_gives_way() {
        assert_eq!(ends("Alice", "now", 12, UNICODE), "Alice    now");
        assert_eq!(ends("Alexander", "3 d ago", 12, UNICODE), "Ale… 3 d ago");
        assert_eq!(ends("Alice", "yesterday", 4, UNICODE), "yes…");
        assert_eq!(ends("Alice", "", 6, UNICODE), "Alice ");
    }

    #[test]
    fn a_short_id_keeps_head_and_tail() {
        let id = "dvs1qx7hqpzry9x8gf2tvdw0s3jn54khce6mua7lm4t2";
        assert_eq!(short_id(id, UNICODE), "dvs1qx7…m4t2");
        assert_eq!(short_id("dvs1short", UNICODE), "dvs1short");
    }

    #[test]
    fn lines_are_broken_at_blanks_if_there_are_any() {
        assert_eq!(wrap("to be or not", 6), ["to be", "or not"]);
        assert_eq!(wrap("a dvs1qx7hqpz", 6), ["a", "dvs1qx", "7hqpz"]);
        assert_eq!(wrap("to be\u{a0}or", 6), ["to", "be or"]);
        assert_eq!(wrap("", 6), Vec::<String>::new());
    }

    #[test]
    fn long_ids_are_broken_into_pieces() {
        assert_eq!(chunks("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!(chunks("abc", 0), ["a", "b", "c"]);
    }
}
