// SPDX-License-Identifier: GPL-3.0-or-later
//! The panel of the call: what goes on, how loud, how well, and in the end why it was over.

use dvs_proto::message::{CallInfo, CallState, CallStats, Direction};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::bars;
use crate::ui::app::{App, Link};
use crate::ui::calls::{self, Actor, Finished, Ongoing, talking, who};
use crate::ui::keys::{self, Action};
use crate::ui::text::{self, join_fitting};
use crate::ui::theme::Theme;
use crate::ui::time::timer;
use crate::ui::trust;
use crate::ui::widgets::{meter, sparkline};

/// Columns of a level meter.
const METER: usize = 18;

/// A panel, composed but not drawn.
pub(super) struct Panel {
    title: Vec<Span<'static>>,
    corner: Vec<String>,
    lines: Vec<Line<'static>>,
    frame: Style,
}

impl Panel {
    /// Rows it takes, frame included.
    pub(super) fn rows(&self) -> u16 {
        u16::try_from(self.lines.len() + 2).unwrap_or(u16::MAX)
    }

    /// Draws it.
    pub(super) fn draw(self, app: &App, frame: &mut Frame<'_>, area: Rect) {
        let theme = app.theme();
        let mut block = Block::bordered()
            .border_set(theme.symbols.border)
            .border_style(self.frame)
            .title(Line::from(self.title).style(theme.strong()));
        for corner in self.corner {
            block = block.title(Line::styled(format!(" {corner} "), theme.strong()).right_aligned());
        }
        frame.render_widget(Paragraph::new(self.lines).block(block), area);
    }
}

/// The panel of the current call, else of the one that ended last; `columns` is the room inside.
pub(super) fn panel(app: &App, columns: usize) -> Option<Panel> {
    match (shown(app), &app.calls.finished) {
        (Some(call), _) if app.link == Link::Up => Some(of_call(app, call, columns)),
        (Some(call), _) => Some(of_unknown(app, call, columns)),
        (None, Some(finished)) => Some(of_finished(app, finished, columns)),
        (None, None) => None,
    }
}

/// The current call, unless its pop-up says it all.
fn shown(app: &App) -> Option<&Ongoing> {
    app.calls.current().filter(|call| app.incoming.is_none_or(|incoming| incoming.call != call.info.call))
}

/// Without the daemon nobody knows what goes on.
fn of_unknown(app: &App, call: &Ongoing, columns: usize) -> Panel {
    let theme = app.theme();
    let words = "What became of this call is not known before the daemon is back.";
    let lines = text::paragraph(words, columns, theme.warning());
    Panel { title: title(app, &call.info), corner: Vec::new(), lines, frame: theme.faint() }
}

fn of_call(app: &App, call: &Ongoing, columns: usize) -> Panel {
    let (theme, info) = (app.theme(), &call.info);
    let mut lines = Vec::new();
    if info.state != CallState::Active {
        lines.push(progress(app, call));
    }
    if matches!(info.state, CallState::Active | CallState::Reconnecting) {
        lines.push(sound(app, columns));
    }
    if talking(info.state) {
        lines.push(quality(app.stats.as_ref(), Some(app), columns, theme));
        lines.push(rates(app, columns));
    }
    lines.push(origin(app, info, columns));
    if let Some(trouble) = &app.daemon.audio.trouble {
        lines.extend(text::paragraph(&format!("{} {trouble}", theme.symbols.bad), columns, theme.bad()));
    }
    lines.extend(others(app, info.call, columns));
    let mut corner = Vec::new();
    if let Some(answered) = info.answered.filter(|_| talking(info.state)) {
        corner.push(timer(app.now.unix.saturating_sub(answered)));
    }
    corner.push(if calls::encrypted(info.state) { "encrypted" } else { "not connected yet" }.to_owned());
    Panel { title: title(app, info), corner, lines, frame: Style::new() }
}

fn title(app: &App, info: &CallInfo) -> Vec<Span<'static>> {
    let theme = app.theme();
    let name = text::cut(&who(info, theme), 32, theme);
    vec![
        Span::raw(format!(" {}: {name} ", calls::heading(info.state))),
        Span::styled(format!("{} ", trust::mark(info.trust, theme)), trust::style(info.trust, theme)),
    ]
}

/// What goes on, and for how long.
fn progress(app: &App, call: &Ongoing) -> Line<'static> {
    let theme = app.theme();
    let name = who(&call.info, theme);
    let seconds = timer(app.seconds_in_state(call.info.call));
    let style = match call.info.state {
        CallState::Reconnecting | CallState::Held => theme.warning(),
        _ => theme.strong(),
    };
    let mut line =
        Line::from(vec![Span::styled(format!(" {}", told(call, &name)), style), Span::raw(format!("   {seconds}"))]);
    let hint = match call.info.state {
        CallState::Held if call.by != Some(Actor::Peer) => Some((Action::Hold, "resumes")),
        CallState::Alerting => Some((Action::Answer, "answers")),
        _ => None,
    };
    if let Some((action, word)) = hint
        && let Some(key) = keys::shown(&app.contexts(), action)
    {
        line.spans.extend([Span::styled(format!("   {key}"), theme.key()), Span::raw(format!(" {word}"))]);
    }
    line
}

/// What goes on in a call; of a hold also who is behind it.
fn told(call: &Ongoing, name: &str) -> String {
    match call.info.state {
        CallState::Held => format!("{}, neither side is heard", calls::on_hold(call.by.as_ref(), name)),
        _ => calls::progress(&call.info, name),
    }
}

/// Both meters; a switch that is off stands in place of its meter.
fn sound(app: &App, columns: usize) -> Line<'static> {
    let (theme, audio) = (app.theme(), &app.daemon.audio);
    let half = (columns / 2).saturating_sub(6);
    let room = METER.min(half.saturating_sub(8));
    let side = |level: Option<i16>| match level {
        Some(level) => format!("{} {}", meter::bar(level, room, theme), meter::decibels(level)),
        None => meter::bar(i16::MIN, room, theme),
    };
    let switch = |off: bool, word: &str, level: Option<i16>| {
        if off {
            let word = format!(" {} {word} ", theme.symbols.stopped);
            let rest = half.saturating_sub(text::width(&word));
            vec![Span::styled(word, theme.alarm()), Span::raw(" ".repeat(rest))]
        } else {
            vec![Span::raw(text::fit(&side(level), half, theme))]
        }
    };
    let mut spans = vec![Span::styled(" mic  ", theme.faint())];
    spans.extend(switch(audio.muted, "MUTED", app.levels.map(|levels| levels.capture)));
    spans.push(Span::styled(" peer ", theme.faint()));
    spans.extend(switch(audio.deafened, "DEAFENED", app.levels.map(|levels| levels.playback)));
    Line::from(spans)
}

/// Delay, jitter and loss; `app` lends the sparkline while the call lasts.
fn quality(stats: Option<&CallStats>, app: Option<&App>, columns: usize, theme: Theme) -> Line<'static> {
    let Some(stats) = stats else { return Line::styled(" no figures yet", theme.faint()) };
    let group = |label: &str, value: String| vec![Span::styled(format!("{label} "), theme.faint()), Span::raw(value)];
    let mut rtt = stats.rtt_us.map(|rtt| group("RTT", milliseconds(rtt)));
    let trail = app.map(|app| sparkline::row(app.trail.iter().copied(), theme)).filter(|trail| !trail.is_empty());
    if let (Some(rtt), Some(trail)) = (&mut rtt, trail) {
        rtt.push(Span::raw(format!(" {trail}")));
    }
    let jitter = format!("{} (buffer {})", milliseconds(stats.jitter_us), stats.buffer_us / 1_000);
    let loss = format!("{} (fec {}, plc {})", loss(stats), stats.recovered, stats.concealed);
    let others = [group("loss", loss), group("jitter", jitter)];
    indented(join_fitting(rtt.into_iter().chain(others).collect(), columns))
}

/// Rates, delay from mouth to ear, microphone.
fn rates(app: &App, columns: usize) -> Line<'static> {
    let theme = app.theme();
    let group = |label: &str, value: String| vec![Span::styled(format!("{label} "), theme.faint()), Span::raw(value)];
    let mut groups = vec![bars::microphone(app)];
    let held = app.calls.current().is_some_and(|call| call.info.state == CallState::Held);
    if let Some(stats) = app.stats.as_ref().filter(|_| !held) {
        groups.push(group("up", kilobits(stats.tx_bitrate)));
        groups.push(group("down", kilobits(stats.rx_bitrate)));
        if let Some(delay) = stats.mouth_to_ear_us {
            groups.push(group("mouth-to-ear", format!("{} {}", theme.symbols.about, milliseconds(delay))));
        }
    }
    indented(join_fitting(groups, columns))
}

/// Who called, who answered, and which way it goes.
fn origin(app: &App, info: &CallInfo, columns: usize) -> Line<'static> {
    let theme = app.theme();
    let plain = |text: String| vec![Span::raw(text)];
    let mut groups = Vec::new();
    match (info.direction, &info.answered_by) {
        (Direction::Outgoing, _) => groups.push(plain(format!("you called{}", set_up(info)))),
        (Direction::Incoming, _) if app.calls.answered_here(info.call) => {
            groups.push(plain("answered here".to_owned()));
        }
        (Direction::Incoming, Some(by)) => groups.push(plain(format!("answered by {by}"))),
        (Direction::Incoming, None) => groups.push(plain("they called".to_owned())),
    }
    groups.extend(info.route.as_ref().map(|route| plain(text::cut(route, columns, theme))));
    groups.push(plain(text::short_id(&info.peer, theme)));
    indented(join_fitting(groups, columns)).style(theme.faint())
}

/// How quickly the peer was found and rang.
fn set_up(info: &CallInfo) -> String {
    match (info.lookup_us, info.ring_us) {
        (Some(found), Some(rang)) => format!(": found in {} ms, rang after {} ms", found / 1_000, rang / 1_000),
        _ => String::new(),
    }
}

/// One line for all other calls.
fn others(app: &App, current: u32, columns: usize) -> Option<Line<'static>> {
    let theme = app.theme();
    let others: Vec<String> = app
        .calls
        .ongoing()
        .iter()
        .filter(|call| call.info.call != current)
        .map(|call| calls::progress(&call.info, &who(&call.info, theme)))
        .collect();
    let line = format!(" also: {}", others.join(", "));
    (!others.is_empty()).then(|| Line::styled(text::cut(&line, columns, theme), theme.warning()))
}

/// Why it was over, and the figures it had.
fn of_finished(app: &App, finished: &Finished, columns: usize) -> Panel {
    let (theme, info) = (app.theme(), &finished.info);
    let mut lines = text::paragraph(&finished.why, columns, theme.strong());
    if finished.talked.is_some() {
        lines.push(quality(finished.stats.as_ref(), None, columns, theme));
    }
    lines.extend(stranger(app, info));
    let corner = finished.talked.map_or_else(|| "never answered".to_owned(), timer);
    Panel { title: title(app, info), corner: vec![corner, "Esc closes".to_owned()], lines, frame: theme.faint() }
}

/// How to keep somebody who is no contact yet.
fn stranger(app: &App, info: &CallInfo) -> Option<Line<'static>> {
    let key = keys::shown(&app.contexts(), Action::AddContact).filter(|_| info.name.is_none())?;
    let key = Span::styled(format!(" {key}"), app.theme().key());
    Some(Line::from(vec![key, Span::raw(" adds them to your contacts")]))
}

/// The call in words, for where there is no panel; nothing while one simply talks.
pub(super) fn words(app: &App, columns: usize) -> Option<Line<'static>> {
    let theme = app.theme();
    match (shown(app), &app.calls.finished) {
        (Some(call), _) if call.info.state == CallState::Active || app.link != Link::Up => None,
        (Some(call), _) => Some(progress(app, call)),
        (None, Some(finished)) => {
            let line = format!(" call ended: {}", finished.why);
            Some(Line::styled(text::cut(&line, columns, theme), theme.strong()))
        }
        (None, None) => None,
    }
}

/// Share of lost packets: `0.4 %`.
pub(super) fn loss(stats: &CallStats) -> String {
    format!("{}.{} %", stats.loss_permille / 10, stats.loss_permille % 10)
}

fn indented(mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, Span::raw(" "));
    line
}

fn milliseconds(micros: u32) -> String {
    format!("{} ms", micros / 1_000 + u32::from(micros % 1_000 >= 500))
}

fn kilobits(bits: u32) -> String {
    format!("{} kbit/s", (bits + 500) / 1_000)
}
