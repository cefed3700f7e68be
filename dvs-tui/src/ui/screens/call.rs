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
use crate::ui::calls::{self, Finished, Ongoing, talking, who};
use crate::ui::devices::Missing;
use crate::ui::keys::{self, Action};
use crate::ui::text::{self, join_fitting};
use crate::ui::theme::Theme;
use crate::ui::time::timer;
use crate::ui::trust;
use crate::ui::widgets::{meter, sparkline};

/// Columns of a level meter.
const METER: usize = 18;
/// Other calls that have a line of their own.
const OTHERS: usize = 3;

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
    if info.state != CallState::Active || info.unstable {
        lines.push(progress(app, call, columns));
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
        Span::raw(format!(" {}: {name} ", calls::heading(info))),
        Span::styled(format!("{} ", trust::mark(info.trust, theme)), trust::style(info.trust, theme)),
    ]
}

/// What goes on, and for how long.
fn progress(app: &App, call: &Ongoing, columns: usize) -> Line<'static> {
    let theme = app.theme();
    let name = who(&call.info, theme);
    let outlook = calls::outlook(&call.info, app.now.unix);
    let seconds = match (outlook, call.info.state) {
        (Some(outlook), _) => outlook,
        // How long one talks stands in the corner.
        (None, CallState::Active) => String::new(),
        (None, _) => timer(app.seconds_in_state(call.info.call)),
    };
    let style = match call.info.state {
        CallState::Reconnecting | CallState::Held | CallState::Active => theme.warning(),
        _ => theme.strong(),
    };
    let words = text::cut(&told(call, &name), columns.saturating_sub(seconds.len() + 5), theme);
    let mut line = Line::from(vec![Span::styled(format!(" {words}"), style), Span::raw(format!("   {seconds}"))]);
    let hint = match call.info.state {
        CallState::Held if call.info.held_here => Some((Action::Hold, "resumes")),
        CallState::Busy if call.info.can_wait && !calls::waits_here(&call.info) => {
            Some((Action::Wait, "waits in the queue"))
        }
        CallState::Waiting if calls::waits_there(&call.info) => Some((Action::LeaveQueue, "leaves")),
        CallState::Alerting => Some((Action::Answer, "answers")),
        _ => None,
    };
    if let Some((action, word)) = hint
        && let Some(key) = keys::shown(&app.contexts(), action)
    {
        let hint = [Span::styled(format!("   {key}"), theme.key()), Span::raw(format!(" {word}"))];
        let needed: usize = hint.iter().map(|span| text::width(&span.content)).sum();
        if text::line_width(&line) + needed <= columns {
            line.spans.extend(hint);
        }
    }
    line
}

/// What goes on in a call; of a hold also who is behind it, of a call made several times which time it is.
fn told(call: &Ongoing, name: &str) -> String {
    match (call.info.state, calls::tries(&call.info)) {
        (CallState::Held, _) => {
            format!("{}, neither side is heard", calls::on_hold(&call.info, call.by.as_ref(), name))
        }
        (CallState::Busy | CallState::Waiting, _) | (_, None) => calls::progress(&call.info, name),
        (_, Some(tries)) => format!("{}, {tries}", calls::progress(&call.info, name)),
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
    let instead = |word: String, style: Style| {
        let rest = half.saturating_sub(text::width(&word));
        vec![Span::styled(word, style), Span::raw(" ".repeat(rest))]
    };
    let switch = |off: bool, missing: bool, words: [&str; 2], level: Option<i16>| match (off, missing, words) {
        (true, _, [off, _]) => instead(format!(" {} {off} ", theme.symbols.stopped), theme.alarm()),
        (_, true, [_, missing]) => instead(format!("{} {missing}", theme.symbols.bad), theme.bad()),
        _ => vec![Span::raw(text::fit(&side(level), half, theme))],
    };
    let missing = Missing::of(audio);
    let mut spans = vec![Span::styled(" mic  ", theme.faint())];
    spans.extend(switch(
        audio.muted,
        missing.microphone,
        ["MUTED", "no microphone"],
        app.levels.map(|levels| levels.capture),
    ));
    spans.push(Span::styled(" peer ", theme.faint()));
    spans.extend(switch(
        audio.deafened,
        missing.loudspeaker,
        ["DEAFENED", "no loudspeaker"],
        app.levels.map(|levels| levels.playback),
    ));
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
    let (jitter, lost) = (milliseconds(stats.jitter_us), loss(stats));
    let buffered = format!("{jitter} (buffer {})", stats.buffer_us / 1_000);
    let rescued = format!("{lost} (recovered {}, concealed {})", stats.recovered, stats.concealed);
    let first: usize = rtt.iter().flatten().map(|span| text::width(&span.content)).sum();
    // Both labels, and two blanks before each.
    let fits = |(lost, jitter): &(&String, &String)| first + 15 + text::width(lost) + text::width(jitter) < columns;
    let choices = [(&rescued, &buffered), (&rescued, &jitter), (&lost, &buffered)];
    let (lost, jitter) = choices.into_iter().find(fits).unwrap_or((&lost, &jitter));
    let others = [group("loss", lost.clone()), group("jitter", jitter.clone())];
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
        // Without a device no sound goes all the way.
        if let Some(delay) = stats.mouth_to_ear_us.filter(|_| !Missing::of(&app.daemon.audio).any()) {
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

/// A line for each other call, and for those beyond how many they are.
fn others(app: &App, current: u32, columns: usize) -> Vec<Line<'static>> {
    let theme = app.theme();
    let others: Vec<&Ongoing> = app.calls.ongoing().iter().filter(|call| call.info.call != current).collect();
    let mut lines: Vec<Line<'static>> = others.iter().take(OTHERS).map(|call| other(app, call, columns)).collect();
    if let Some(more) = u32::try_from(others.len().saturating_sub(OTHERS)).ok().filter(|more| *more > 0) {
        lines.push(Line::styled(format!(" and {}", text::plural(more, "more call")), theme.warning()));
    }
    lines
}

/// A call besides the current one: how it stands and for how long, and at the next one the key to talk in it.
fn other(app: &App, call: &Ongoing, columns: usize) -> Line<'static> {
    let theme = app.theme();
    let name = who(&call.info, theme);
    let state = match call.info.state {
        CallState::Held => calls::on_hold(&call.info, call.by.as_ref(), &name),
        _ => calls::progress(&call.info, &name),
    };
    let seconds = timer(app.seconds_in_state(call.info.call));
    let next = app.calls.next().is_some_and(|next| next.info.call == call.info.call);
    let key = keys::shown(&app.contexts(), Action::Switch).filter(|_| next);
    let hint = key.map(|key| (key.to_string(), " switches"));
    let needed = hint.as_ref().map_or(0, |(key, word)| 3 + text::width(key) + text::width(word));
    let words = text::cut(&format!(" also: {state}"), columns.saturating_sub(seconds.len() + 3 + needed), theme);
    let mut line = Line::from(vec![Span::styled(words, theme.warning()), Span::raw(format!("   {seconds}"))]);
    if let Some((key, word)) = hint {
        line.spans.extend([Span::styled(format!("   {key}"), theme.key()), Span::raw(word)]);
    }
    line
}

/// Why it was over, and the figures it had.
fn of_finished(app: &App, finished: &Finished, columns: usize) -> Panel {
    let (theme, info) = (app.theme(), &finished.info);
    let mut lines = text::paragraph(&finished.why, columns, theme.strong());
    if let Some(alarm) = &finished.alarm {
        lines.extend(text::paragraph(&format!("{} {alarm}", theme.symbols.bad), columns, theme.bad()));
    }
    if finished.talked.is_some() {
        lines.push(quality(finished.stats.as_ref(), None, columns, theme));
    }
    lines.extend(stranger(app, info));
    let corner = finished.talked.map_or_else(|| "never answered".to_owned(), timer);
    let frame = if finished.alarm.is_some() { theme.bad() } else { theme.faint() };
    Panel { title: title(app, info), corner: vec![corner, "Esc closes".to_owned()], lines, frame }
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
        (Some(call), _) if call.info.state == CallState::Active && !call.info.unstable || app.link != Link::Up => None,
        (Some(call), _) => Some(progress(app, call, columns)),
        (None, Some(finished)) => {
            let line = format!(" call ended: {}", finished.why);
            let line = finished.alarm.as_ref().map_or(line, |alarm| format!(" {} {alarm}", theme.symbols.bad));
            let style = if finished.alarm.is_some() { theme.bad() } else { theme.strong() };
            Some(Line::styled(text::cut(&line, columns, theme), style))
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
