// SPDX-License-Identifier: GPL-3.0-or-later
//! A field for an ID, an invite or a name, checked by the daemon while one types.

use dvs_proto::message::Target;
use ratatui::style::Style;
use ratatui::text::Line;
use tui_input::Input as Field;

use crate::ui::overlay;
use crate::ui::text::{short_id, wrap};
use crate::ui::theme::Theme;

/// Whose a typed text is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing was typed.
    #[default]
    Empty,
    /// The daemon has not answered yet.
    Asked,
    /// The daemon is gone; it is asked when it is back.
    Unasked,
    /// Somebody's.
    Known(Target),
    /// Nobody's; why.
    Bad(String),
}

/// The field and what is known of its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetField {
    /// What was typed.
    pub(crate) input: Field,
    /// Whose it is.
    pub(crate) verdict: Verdict,
}

impl TargetField {
    /// What was typed, without blanks around it.
    pub(crate) fn text(&self) -> String {
        self.input.value().trim().to_owned()
    }

    /// Why this cannot be somebody to add to the contacts.
    pub(super) fn objection(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Bad(why) => Some(why.clone()),
            Verdict::Known(target) if target.own => Some("this is your own ID".to_owned()),
            Verdict::Known(Target { name: Some(name), .. }) if self.renews().is_none() => {
                Some(format!("already in your contacts: {name}"))
            }
            _ => None,
        }
    }

    /// The contact whose addresses the invite typed would renew.
    pub(super) fn renews(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Known(target) if overlay::has_address(&self.text()) => target.name.as_deref(),
            _ => None,
        }
    }

    /// The verdict on a text that is to become a contact.
    pub(super) fn lines_for_contact(&self, columns: u16, theme: Theme) -> Vec<Line<'static>> {
        match (self.objection(), self.renews()) {
            (Some(why), _) => said(theme.symbols.bad, &why, columns, theme.bad()),
            (None, Some(name)) => {
                said(theme.symbols.good, &format!("renews the addresses of {name}"), columns, theme.good())
            }
            (None, None) => self.lines("dvs1..., 40 hex digits, or a dvs: invite", columns, theme),
        }
    }

    /// What the daemon has against a form, unless the verdict says it already.
    pub(super) fn news<'a>(&self, trouble: Option<&'a str>) -> Option<&'a str> {
        trouble.filter(|why| !matches!(&self.verdict, Verdict::Bad(said) if said == why))
    }

    /// The verdict on a text that is to be called; `hint` says what may be typed.
    pub(super) fn lines(&self, hint: &str, columns: u16, theme: Theme) -> Vec<Line<'static>> {
        let good = |what: &str| said(theme.symbols.good, what, columns, theme.good());
        match &self.verdict {
            Verdict::Empty => said(" ", hint, columns, theme.faint()),
            Verdict::Asked => said(" ", "checking", columns, theme.faint()),
            Verdict::Unasked => said(" ", "to be checked when the daemon is back", columns, theme.warning()),
            Verdict::Bad(why) => said(theme.symbols.bad, why, columns, theme.bad()),
            Verdict::Known(Target { name: Some(name), .. }) => good(name),
            Verdict::Known(target) => good(&format!("checksum ok: {}", short_id(&target.id, theme))),
        }
    }
}

/// A mark below the field's text, and what it means.
fn said(mark: &str, text: &str, columns: u16, style: Style) -> Vec<Line<'static>> {
    let rows = wrap(text, usize::from(columns).saturating_sub(9)).into_iter().enumerate();
    rows.map(|(index, row)| {
        let mark = if index == 0 { mark } else { " " };
        Line::styled(format!("      {mark} {row}"), style)
    })
    .collect()
}
