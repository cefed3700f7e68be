// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line: drawn in place of the footer.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;
use tui_input::Input as Field;

use crate::ui::command::COMMANDS;
use crate::ui::text;
use crate::ui::theme::Theme;

/// What is being typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandLine {
    /// The line.
    pub(crate) input: Field,
    /// What is wrong with it.
    pub(crate) trouble: Option<String>,
}

impl CommandLine {
    /// Draws the line into `area`, one row high.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let room = usize::from(area.width).saturating_sub(2);
        let skipped = self.input.visual_scroll(room);
        let shown: String = self.input.value().chars().skip(skipped).collect();
        let used = text::width(&shown) + 4;
        let mut spans = vec![Span::styled(":", theme.key()), Span::raw(shown), Span::raw("   ")];
        spans.push(match &self.trouble {
            Some(why) => Span::styled(text::cut(why, room.saturating_sub(used), theme), theme.bad()),
            None => Span::styled(text::cut(&self.hint(), room.saturating_sub(used), theme), theme.faint()),
        });
        frame.render_widget(Clear, area);
        frame.render_widget(Line::from(spans), area);
        let column = self.input.visual_cursor().saturating_sub(skipped) + 1;
        let column = u16::try_from(column).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
        frame.set_cursor_position(Position::new(area.x + column, area.y));
    }

    /// What could follow: the commands that fit, or the arguments of the one typed.
    fn hint(&self) -> String {
        let typed = self.input.value().trim_start();
        if let Some((command, arguments, help)) = COMMANDS.iter().find(|(c, ..)| typed.trim_end() == *c) {
            return format!("{command} {arguments}  {help}");
        }
        let fitting: Vec<&str> =
            COMMANDS.iter().map(|(command, ..)| *command).filter(|c| c.starts_with(typed)).collect();
        fitting.join("  ")
    }
}
