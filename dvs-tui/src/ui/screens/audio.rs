// SPDX-License-Identifier: GPL-3.0-or-later
//! The sound set-up: devices, switches, levels, and what is wrong.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{bars, pane};
use crate::ui::app::App;
use crate::ui::keys::{self, Action};
use crate::ui::text;
use crate::ui::widgets::meter;

const LABEL: usize = 12;

/// Draws the screen.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let (theme, audio) = (app.theme(), &app.daemon.audio);
    let columns = usize::from(area.width).saturating_sub(LABEL + 4);
    let label = |text: &str| Span::styled(format!(" {text:<LABEL$}"), theme.faint());
    let row = |name: &str, value: &str| Line::from(vec![label(name), Span::raw(text::cut(value, columns, theme))]);
    let mut state = vec![label("state")];
    state.extend(bars::microphone(app));
    let mut lines = match audio.backend.as_str() {
        "alsa" => vec![row("microphone", &audio.capture), row("loudspeaker", &audio.playback)],
        other => vec![row("devices", &format!("none, but the test sound \"{other}\""))],
    };
    lines.extend([Line::default(), Line::from(state)]);
    if let Some(levels) = app.levels {
        let bar = |level| format!("{}  {}", meter::bar(level, 30.min(columns), theme), meter::decibels(level));
        lines.push(row("you", &bar(levels.capture)));
        lines.push(row("peer", &bar(levels.playback)));
    }
    lines.push(Line::default());
    lines.push(match &audio.trouble {
        Some(trouble) => Line::styled(format!(" {} {trouble}", theme.symbols.bad), theme.bad()),
        None => Line::styled(format!(" {} no trouble with the devices", theme.symbols.good), theme.good()),
    });
    lines.push(Line::raw(" The microphone is open in an answered call only."));
    lines.push(Line::default());
    lines.push(switches(app));
    frame.render_widget(Paragraph::new(lines).block(pane::block("Audio", true, theme)), area);
}

/// The switches that hold now, with their keys.
fn switches(app: &App) -> Line<'static> {
    let (theme, audio, contexts) = (app.theme(), &app.daemon.audio, app.contexts());
    let switches = [
        (Action::Mute, if audio.muted { "unmute the microphone" } else { "mute the microphone" }),
        (Action::Deafen, if audio.deafened { "switch the loudspeaker on" } else { "switch the loudspeaker off" }),
    ];
    let mut line = Line::default();
    for (action, word) in switches {
        if let Some(key) = keys::shown(&contexts, action) {
            line.spans.extend([Span::styled(format!(" {key}"), theme.key()), Span::raw(format!(" {word}   "))]);
        }
    }
    line
}
