// SPDX-License-Identifier: GPL-3.0-or-later
//! The help, made from the key map and the list of commands.

use ratatui::text::{Line, Span};

use crate::ui::command::COMMANDS;
use crate::ui::keys::{BINDINGS, Binding, CHAPTERS};
use crate::ui::text;
use crate::ui::theme::Theme;

const KEYS: usize = 16;
const COMMAND: usize = 32;

/// All lines of the help.
pub(crate) fn lines(theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (title, contexts) in CHAPTERS {
        chapter(&mut lines, title, theme);
        let of = contexts.iter().flat_map(|context| BINDINGS.iter().filter(move |b| b.context == *context));
        lines.extend(of.map(|binding| binding_line(binding, theme)));
    }
    chapter(&mut lines, "Commands, after :", theme);
    lines.extend(
        COMMANDS.iter().map(|(command, arguments, help)| row(&format!("{command} {arguments}"), COMMAND, help, theme)),
    );
    lines
}

fn chapter(lines: &mut Vec<Line<'static>>, title: &str, theme: Theme) {
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines.push(Line::styled(format!(" {title}"), theme.strong()));
}

fn binding_line(binding: &Binding, theme: Theme) -> Line<'static> {
    let keys: Vec<String> = binding.keys.iter().take(2).map(ToString::to_string).collect();
    row(&keys.join("  "), KEYS, binding.help, theme)
}

fn row(left: &str, columns: usize, right: &str, theme: Theme) -> Line<'static> {
    let left = Span::styled(format!("   {}", text::fit(left, columns, theme)), theme.key());
    Line::from(vec![left, Span::raw(right.to_owned())])
}
