// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody can be reached, in words.

use dvs_proto::message::{Contact, Presence, Trust};

use super::theme::Theme;
use super::time::ago;

/// A mark and few words for the list of contacts: `● 23 ms`, `○ 3 d ago`; without the mark when nobody has looked.
pub(crate) fn in_brief(contact: &Contact, now: u64, theme: Theme) -> String {
    let seen = contact.last_seen.map(|seen| ago(seen, now));
    match contact.presence {
        Presence::Online { rtt_us } => format!("{} {}", theme.symbols.on, rtt(rtt_us)),
        Presence::Offline => format!("{} {}", theme.symbols.off, seen.as_deref().unwrap_or("offline")),
        Presence::Unknown if contact.trust == Trust::Unknown && seen.is_none() => "never spoken".to_owned(),
        Presence::Unknown => seen.unwrap_or_default(),
    }
}

/// In words; nothing when nobody has looked.
pub(crate) fn in_words(presence: Presence) -> Option<String> {
    match presence {
        Presence::Unknown => None,
        Presence::Online { rtt_us } => Some(format!("online, {}", rtt(rtt_us))),
        Presence::Offline => Some("offline".to_owned()),
    }
}

/// One word, for scripts.
pub(crate) fn word(presence: Presence) -> &'static str {
    match presence {
        Presence::Unknown => "unknown",
        Presence::Online { .. } => "online",
        Presence::Offline => "offline",
    }
}

fn rtt(micros: u32) -> String {
    match micros.saturating_add(500) / 1_000 {
        0 => "< 1 ms".to_owned(),
        milliseconds => format!("{milliseconds} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example::{BOB, NOON, contact};

    #[test]
    fn presence_has_a_mark_and_a_time() {
        let of = |presence, trust, before| {
            let contact = Contact { presence, ..contact("Bob", BOB, trust, before) };
            [true, false].map(|unicode| in_brief(&contact, NOON, Theme::new(unicode, true)))
        };
        assert_eq!(of(Presence::Online { rtt_us: 23_400 }, Trust::Seen, Some(9)), ["● 23 ms", "* 23 ms"]);
        assert_eq!(of(Presence::Online { rtt_us: 90 }, Trust::Seen, None), ["● < 1 ms", "* < 1 ms"]);
        assert_eq!(of(Presence::Offline, Trust::Seen, Some(3 * 86_400)), ["○ 3 d ago", "o 3 d ago"]);
        assert_eq!(of(Presence::Offline, Trust::Unknown, None), ["○ offline", "o offline"]);
        assert_eq!(of(Presence::Unknown, Trust::Seen, Some(7_200)), ["2 h ago", "2 h ago"]);
        assert_eq!(of(Presence::Unknown, Trust::Unknown, None), ["never spoken", "never spoken"]);
    }
}
