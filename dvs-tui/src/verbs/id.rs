// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui id`

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use dvs_proto::message::{Reply, Request};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::output::{Output, aside};
use crate::attach::{Line, unexpected};
use crate::cli::IdForm;
use crate::failed::Failed;
use crate::ui::overlay;

/// Shows who we are.
pub(super) fn run(form: &IdForm, local: bool, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, mut snapshot) = Line::open(directory)?;
    if local {
        snapshot.identity.invite = match line.ask(Request::Invite { local })? {
            Reply::Invite(invite) => invite,
            other => return Err(unexpected(&other)),
        };
    }
    let picture = if form.qr { qr(&snapshot.identity.id)? } else { String::new() };
    out.show(&snapshot.identity, |identity| {
        if form.hex {
            identity.hex.clone()
        } else if form.fingerprint {
            identity.fingerprint.clone()
        } else if form.invite {
            identity.invite.clone()
        } else if form.qr {
            format!("{picture}\n{}", identity.id)
        } else {
            identity.id.clone()
        }
    })?;
    if form.invite {
        address_hint(&snapshot.identity.invite).iter().for_each(|hint| aside(hint));
    }
    Ok(())
}

/// What to do about an invite that names no way into our overlay.
fn address_hint(invite: &str) -> Option<String> {
    let separator = if invite.contains('?') { '&' } else { '?' };
    let hint = format!(
        "no public address is known: this works only for people in your overlay; for those in your own network add \
         --local, and if you have an open port append {separator}at=HOST:5004"
    );
    (!overlay::has_address(invite)).then_some(hint)
}

/// Upper case makes a smaller code, and means the same.
fn qr(id: &str) -> Result<String, Failed> {
    let code = QrCode::with_error_correction_level(id.to_uppercase(), EcLevel::L);
    let code = code.map_err(|error| Failed::internal(error.to_string()))?;
    let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Ok(if colour { black_on_white(&code) } else { ink_is_light(&code) })
}

/// For terminals with colours, whatever their own are.
fn black_on_white(code: &QrCode) -> String {
    let picture = code.render::<Dense1x2>().build();
    let lines = picture.lines().map(|line| format!("\x1b[30;107m{line}\x1b[0m"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Without colours the terminal is taken for a dark one: there the light modules are the ones to draw.
fn ink_is_light(code: &QrCode) -> String {
    code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_without_an_address_says_how_to_give_one() {
        assert!(address_hint("dvs:dvs1q").unwrap().contains("append ?at=HOST:5004"));
        assert!(address_hint("dvs:dvs1q?fp=abc").unwrap().contains("append &at=HOST:5004"));
        assert_eq!(address_hint("dvs:dvs1q?fp=abc&at=192.0.2.1:5004"), None);
        assert_eq!(address_hint("dvs:dvs1q?via=dvs1p@192.0.2.1:5004"), None);
    }

    #[test]
    fn the_quiet_zone_is_light_with_and_without_colours() {
        let code = QrCode::new("DVS").unwrap();
        assert!(ink_is_light(&code).starts_with("████"));
        assert!(black_on_white(&code).starts_with("\x1b[30;107m    "));
    }
}
