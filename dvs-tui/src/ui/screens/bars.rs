// SPDX-License-Identifier: GPL-3.0-or-later
//! The line on top, who and where we are, and the line at the bottom, which keys hold.

use dvs_proto::message::{CallState, UnknownCallers};
use ratatui::text::{Line, Span};

use crate::ui::app::{App, Link, View};
use crate::ui::calls::{heading, waits_here, who};
use crate::ui::devices::Missing;
use crate::ui::keys::{self, Action, Binding};
use crate::ui::overlay;
use crate::ui::popups::Popup;
use crate::ui::text::{self, join_fitting, line_width, plural, short_id};
use crate::ui::time::timer;

/// The line on top.
pub(super) fn header(app: &App, columns: u16) -> Line<'static> {
    let (theme, columns) = (app.theme(), usize::from(columns));
    let clock = format!("{} ", app.setting.zone.clock(app.now.unix));
    let room = columns.saturating_sub(text::width(&clock) + 1);
    let mut groups = vec![vec![Span::styled(" DVS", theme.strong())]];
    if hides_call(app) {
        groups.extend(call_in_short(app));
    }
    groups.extend(disturbs_nobody(app));
    groups.push(connection(app));
    groups.extend(strangers(app));
    groups.push(vec![Span::raw(short_id(&app.daemon.identity.id, theme))]);
    if app.link == Link::Up {
        groups.push(vec![Span::raw(app.setting.host.clone())]);
        groups.extend(app.daemon.network.observed.iter().map(|at| vec![Span::raw(format!("seen as {at}"))]));
    }
    let mut line = join_fitting(groups, room);
    let gap = columns.saturating_sub(line_width(&line) + text::width(&clock));
    line.spans.extend([Span::raw(" ".repeat(gap)), Span::raw(clock)]);
    line
}

/// What must not be overlooked, below the header: that the daemon is gone, or that somebody calls while one types.
pub(super) fn banner(app: &App, columns: usize) -> Vec<Line<'static>> {
    let theme = app.theme();
    let mut lines = Vec::new();
    if let Link::Down { why, retry } = &app.link {
        let seconds = retry.saturating_sub(app.now.mono).as_secs_f32().ceil();
        let text = format!("The daemon is gone; trying again in {seconds:.0} s. {why}");
        lines.extend(text::paragraph(&text, columns, theme.bad()));
    }
    let ringing = app.incoming.filter(|_| app.typing()).and_then(|incoming| app.calls.get(incoming.call));
    if let Some(call) = ringing {
        let name = who(&call.info, theme);
        let since = timer(app.now.unix.saturating_sub(call.info.started));
        let does = if waits_here(&call.info) { "is waiting" } else { "is calling" };
        let text = format!("{name} {does}, {since}. Esc leaves the field, a answers, x declines");
        lines.extend(text::paragraph(&text, columns, theme.warning()));
    }
    lines
}

/// Whether the screen shown has no place for the call.
fn hides_call(app: &App) -> bool {
    app.view != View::Main || matches!(app.popup, Some(Popup::Help | Popup::MyId(_)))
}

/// Whether the overlay, or else even the daemon, is there.
pub(super) fn connection(app: &App) -> Vec<Span<'static>> {
    let (theme, network) = (app.theme(), &app.daemon.network);
    match &app.link {
        Link::Down { .. } => vec![Span::styled(format!("{} no daemon", theme.symbols.off), theme.bad())],
        Link::Up if network.online => vec![
            Span::styled(format!("{} online", theme.symbols.on), theme.good()),
            Span::raw(format!(" {}", plural(network.nodes, "peer"))),
        ],
        Link::Up => vec![Span::styled(format!("{} offline", theme.symbols.off), theme.warning())],
    }
}

/// The sign that nobody rings.
pub(super) fn disturbs_nobody(app: &App) -> Option<Vec<Span<'static>>> {
    let theme = app.theme();
    let on = app.daemon.policy.do_not_disturb;
    on.then(|| vec![Span::styled(format!("{} do not disturb", theme.symbols.stopped), theme.alarm())])
}

/// The sign that unknown callers are treated otherwise than usual.
pub(super) fn strangers(app: &App) -> Option<Vec<Span<'static>>> {
    let theme = app.theme();
    match app.daemon.policy.unknown_callers {
        UnknownCallers::Silent => None,
        UnknownCallers::Ring => Some(vec![Span::styled("strangers ring", theme.warning())]),
        UnknownCallers::Reject => Some(vec![Span::styled("strangers declined", theme.warning())]),
    }
}

/// What to do while no other node answers.
pub(super) fn advice(app: &App, columns: usize) -> Vec<Line<'static>> {
    if app.link == Link::Up && !app.daemon.network.online {
        let words = format!("Offline: {}.", overlay::offline(&app.daemon.network));
        text::paragraph(&words, columns, app.theme().warning())
    } else {
        Vec::new()
    }
}

/// The current call in a few words, for where its panel is out of sight.
pub(super) fn call_in_short(app: &App) -> Option<Vec<Span<'static>>> {
    let theme = app.theme();
    let call = app.calls.current()?;
    let name = text::cut(&who(&call.info, theme), 20, theme);
    let mut spans = vec![match (call.info.state, call.info.answered) {
        (CallState::Active, Some(answered)) if app.link == Link::Up => {
            Span::styled(format!("{name} {}", timer(app.now.unix.saturating_sub(answered))), theme.strong())
        }
        _ => Span::styled(format!("{}: {name}", heading(&call.info)), theme.strong()),
    }];
    spans.push(Span::raw(" "));
    spans.extend(microphone(app));
    Some(spans)
}

/// Whether we are heard, in a word or two.
pub(super) fn microphone(app: &App) -> Vec<Span<'static>> {
    let theme = app.theme();
    let audio = &app.daemon.audio;
    if app.link != Link::Up {
        return vec![Span::styled(format!("{} mic unknown", theme.symbols.off), theme.warning())];
    }
    let missing = Missing::of(audio);
    let mut spans = vec![match app.calls.current().map(|call| call.info.state) {
        _ if audio.muted => Span::styled(format!("{} MUTED", theme.symbols.stopped), theme.alarm()),
        Some(CallState::Active | CallState::Reconnecting) if missing.microphone => {
            Span::styled(format!("{} no microphone", theme.symbols.bad), theme.bad())
        }
        Some(CallState::Active | CallState::Reconnecting) => {
            Span::styled(format!("{} mic live", theme.symbols.on), theme.good())
        }
        _ => Span::styled(format!("{} mic closed", theme.symbols.off), theme.faint()),
    }];
    if audio.deafened {
        spans.extend([Span::raw(" "), Span::styled(format!("{} DEAF", theme.symbols.stopped), theme.alarm())]);
    } else if missing.loudspeaker {
        spans.extend([Span::raw(" "), Span::styled(format!("{} no loudspeaker", theme.symbols.bad), theme.bad())]);
    }
    spans
}

/// The lines at the bottom: what just happened, or else which keys hold. The command line is drawn over them.
pub(super) fn footer(app: &App, columns: usize) -> Vec<Line<'static>> {
    let theme = app.theme();
    match &app.notice {
        Some(notice) if app.command.is_none() => {
            text::paragraph(&notice.text, columns, if notice.bad { theme.bad() } else { theme.strong() })
        }
        _ => vec![hints(app, columns)],
    }
}

/// The keys that hold now, as many as fit; the way to the help always does.
pub(super) fn hints(app: &App, columns: usize) -> Line<'static> {
    let theme = app.theme();
    let group = |binding: &Binding| {
        let key = binding.shown().map(|key| key.to_string()).unwrap_or_default();
        vec![Span::styled(key, theme.key()), Span::raw(format!(" {}", binding.footer))]
    };
    let hints = keys::hints(&app.contexts()).into_iter().filter(|binding| is_of_use(app, binding.action));
    let (help, others): (Vec<_>, Vec<_>) = hints.partition(|binding| binding.action == Action::Help);
    let help: Vec<Span<'_>> = help.into_iter().flat_map(group).collect();
    let reserved: usize = help.iter().map(|span| text::width(&span.content)).sum::<usize>() + 2;
    let mut line = join_fitting(others.into_iter().map(group).collect(), columns.saturating_sub(reserved + 1));
    line.spans.insert(0, Span::raw(" "));
    if !help.is_empty() {
        line.spans.push(Span::raw("  "));
        line.spans.extend(help);
    }
    line
}

/// Whether an action could do something just now.
fn is_of_use(app: &App, action: Action) -> bool {
    match action {
        _ if app.link != Link::Up && keys::needs_daemon(action) => false,
        Action::CallSelected => app.lists.person(&app.daemon).is_some(),
        Action::Matches | Action::Differs => app.comparing(),
        _ => true,
    }
}
