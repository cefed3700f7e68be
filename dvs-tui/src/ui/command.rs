// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line that `:` opens: the same words as the verbs of the shell.

use dvs_proto::message::UnknownCallers;

use super::keys::Action;
use super::policy;

/// A command, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Something a key does as well.
    Act(Action),
    /// Call somebody.
    Call(String),
    /// Look for somebody without calling.
    Lookup(String),
    /// Microphone off or on.
    Mute(Option<bool>),
    /// Loudspeaker off or on.
    Deafen(Option<bool>),
    /// Store a contact.
    Add { name: String, target: String },
    /// Rename a contact.
    Rename { contact: String, name: String },
    /// Remove a contact; asks first.
    Remove(String),
    /// Block or unblock somebody.
    Block { contact: String, on: bool },
    /// Answer a contact's calls at once, or no longer.
    AutoAnswer { contact: String, on: bool },
    /// A fingerprint that was compared over another way.
    VerifyFingerprint { contact: String, fingerprint: String },
    /// Let nobody ring, or let them again.
    DoNotDisturb(Option<bool>),
    /// What becomes of unknown callers.
    UnknownCallers(UnknownCallers),
}

/// The commands, as the completion offers them and the help prints them: words, arguments, meaning.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("call", "WHO", "call a name, an ID or an invite"),
    ("lookup", "WHO", "look for somebody without calling"),
    ("answer", "", "answer the ringing call"),
    ("decline", "", "refuse the ringing call"),
    ("hangup", "", "end the call"),
    ("hold", "", "hold or resume"),
    ("switch", "", "talk in the next call, hold this one"),
    ("wait", "", "wait in the queue of somebody busy"),
    ("verify", "", "compare keys by voice"),
    ("mute", "[on|off]", "microphone off or on"),
    ("deafen", "[on|off]", "loudspeaker off or on"),
    ("contact add", "NAME ID", "store a contact"),
    ("contact rename", "OLD NEW", "rename a contact"),
    ("contact remove", "NAME", "remove a contact"),
    ("contact verify", "NAME FINGERPRINT", "compared over another way"),
    ("contact auto-answer", "NAME on|off", "answer their calls at once"),
    ("dnd", "[on|off]", "do not disturb: nobody rings"),
    ("callers", "ring|silent|reject", "what becomes of unknown callers"),
    ("block", "WHO", "refuse somebody's calls"),
    ("unblock", "WHO", "accept them again"),
    ("id", "", "show my ID"),
    ("audio", "", "show the sound set-up"),
    ("network", "", "show the network"),
    ("log", "", "show the log"),
    ("help", "", "show the keys"),
    ("quit", "", "leave the client"),
];

/// Understands a line.
///
/// # Errors
/// One line that says what is wrong.
pub(crate) fn parse(line: &str) -> Result<Option<Command>, String> {
    let words = words(line)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        [] => return Ok(None),
        ["call" | "dial", who @ ..] if !who.is_empty() => Command::Call(who.join(" ")),
        ["lookup", who @ ..] if !who.is_empty() => Command::Lookup(who.join(" ")),
        ["answer"] => Command::Act(Action::Answer),
        ["decline"] => Command::Act(Action::Decline),
        ["hangup"] => Command::Act(Action::HangUp),
        ["hold"] => Command::Act(Action::Hold),
        ["switch"] => Command::Act(Action::Switch),
        ["wait"] => Command::Act(Action::Wait),
        ["verify"] => Command::Act(Action::Verify),
        ["dnd", rest @ ..] => Command::DoNotDisturb(switch(rest)?),
        ["callers", word] => Command::UnknownCallers(policy::parse(word).ok_or("say ring, silent or reject")?),
        ["mute", rest @ ..] => Command::Mute(switch(rest)?),
        ["unmute"] => Command::Mute(Some(false)),
        ["deafen", rest @ ..] => Command::Deafen(switch(rest)?),
        ["undeafen"] => Command::Deafen(Some(false)),
        ["contact" | "contacts", "add", name @ .., target] if !name.is_empty() => {
            Command::Add { name: name.join(" "), target: (*target).to_owned() }
        }
        ["contact" | "contacts", "add"] => Command::Act(Action::AddContact),
        ["contact" | "contacts", "rename", contact, name] => {
            Command::Rename { contact: (*contact).to_owned(), name: (*name).to_owned() }
        }
        ["contact" | "contacts", "auto-answer", who @ .., word] if !who.is_empty() => {
            let on = switch(&[*word])?.unwrap_or(true);
            Command::AutoAnswer { contact: who.join(" "), on }
        }
        ["contact" | "contacts", "verify", contact, fingerprint @ ..] if !fingerprint.is_empty() => {
            Command::VerifyFingerprint { contact: (*contact).to_owned(), fingerprint: fingerprint.join(" ") }
        }
        ["contact" | "contacts", "remove", who @ ..] if !who.is_empty() => Command::Remove(who.join(" ")),
        ["block", who @ ..] if !who.is_empty() => Command::Block { contact: who.join(" "), on: true },
        ["unblock", who @ ..] if !who.is_empty() => Command::Block { contact: who.join(" "), on: false },
        ["id"] => Command::Act(Action::MyId),
        ["audio" | "devices"] => Command::Act(Action::Audio),
        ["network"] => Command::Act(Action::Network),
        ["log"] => Command::Act(Action::Log),
        ["help"] => Command::Act(Action::Help),
        ["quit" | "q"] => Command::Act(Action::Quit),
        words => return Err(usage(words)),
    };
    Ok(Some(command))
}

/// `on` and `off` switch, nothing toggles.
fn switch(words: &[&str]) -> Result<Option<bool>, String> {
    match words {
        [] => Ok(None),
        ["on"] => Ok(Some(true)),
        ["off"] => Ok(Some(false)),
        _ => Err("say on, off or nothing".to_owned()),
    }
}

fn usage(words: &[&str]) -> String {
    let line = words.join(" ");
    let meant = COMMANDS.iter().find(|(command, ..)| line.starts_with(command));
    match meant {
        Some((command, arguments, _)) if !arguments.is_empty() => format!("usage: {command} {arguments}"),
        Some((command, ..)) => format!("{command} takes no arguments"),
        None => format!("no command \"{line}\"; Tab completes, ? helps"),
    }
}

/// The words of a line; double quotes hold words with blanks together.
fn words(line: &str) -> Result<Vec<String>, String> {
    let pieces: Vec<&str> = line.split('"').collect();
    if pieces.len().is_multiple_of(2) {
        return Err("a quotation mark is missing".to_owned());
    }
    let mut words = Vec::new();
    for (index, piece) in pieces.into_iter().enumerate() {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    Ok(words)
}

/// `line` with its last word completed as far as it is unambiguous, by commands and by `names` of contacts.
pub(crate) fn complete(line: &str, names: &[&str]) -> String {
    let with_blank = |text: &str| format!("{text} ");
    let commands: Vec<&str> = COMMANDS.iter().map(|(command, ..)| *command).filter(|c| c.starts_with(line)).collect();
    match commands.as_slice() {
        [only] => return with_blank(only),
        [] => {}
        several => return common(several).max(line.to_owned()),
    }
    let Some(start) = argument_start(line) else { return line.to_owned() };
    let (head, typed) = line.split_at(start);
    let typed = typed.to_lowercase();
    let fitting: Vec<&str> = names.iter().copied().filter(|name| name.to_lowercase().starts_with(&typed)).collect();
    match fitting.as_slice() {
        [] => line.to_owned(),
        [only] => format!("{head}{only}"),
        several if !typed.is_empty() => format!("{head}{}", common(several)),
        _ => line.to_owned(),
    }
}

/// Where the argument of a command that takes a person begins.
fn argument_start(line: &str) -> Option<usize> {
    [
        "call ",
        "lookup ",
        "contact rename ",
        "contact remove ",
        "contact verify ",
        "contact auto-answer ",
        "block ",
        "unblock ",
    ]
    .iter()
    .find(|c| line.starts_with(**c))
    .map(|c| c.len())
}

/// The longest common beginning.
fn common(texts: &[&str]) -> String {
    let Some((first, rest)) = texts.split_first() else { return String::new() };
    let mut beginning = String::new();
    for c in first.chars() {
        beginning.push(c);
        if !rest.iter().all(|text| text.starts_with(&beginning)) {
            beginning.pop();
            break;
        }
    }
    beginning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood() {
        assert_eq!(parse("call Alice"), Ok(Some(Command::Call("Alice".into()))));
        assert_eq!(parse("  call  Aunt  Mary "), Ok(Some(Command::Call("Aunt Mary".into()))));
        assert_eq!(parse("mute"), Ok(Some(Command::Mute(None))));
        assert_eq!(parse("mute off"), Ok(Some(Command::Mute(Some(false)))));
        assert_eq!(parse("q"), Ok(Some(Command::Act(Action::Quit))));
        let add = Command::Add { name: "Aunt Mary".into(), target: "dvs1x".into() };
        assert_eq!(parse("contact add Aunt Mary dvs1x"), Ok(Some(add)));
        let rename = Command::Rename { contact: "Aunt Mary".into(), name: "Mary".into() };
        assert_eq!(parse("contact rename \"Aunt Mary\" Mary"), Ok(Some(rename)));
        let verify = Command::VerifyFingerprint { contact: "Aunt Mary".into(), fingerprint: "3F9A 11C2".into() };
        assert_eq!(parse("contact verify \"Aunt Mary\" 3F9A 11C2"), Ok(Some(verify)));
        let intercom = Command::AutoAnswer { contact: "Aunt Mary".into(), on: false };
        assert_eq!(parse("contacts auto-answer Aunt Mary off"), Ok(Some(intercom)));
        assert_eq!(parse("dnd"), Ok(Some(Command::DoNotDisturb(None))));
        assert_eq!(parse("callers reject"), Ok(Some(Command::UnknownCallers(UnknownCallers::Reject))));
        assert_eq!(parse("   "), Ok(None));
    }

    #[test]
    fn a_wrong_command_says_what_would_be_right() {
        assert_eq!(parse("call"), Err("usage: call WHO".into()));
        assert_eq!(parse("answer now"), Err("answer takes no arguments".into()));
        assert_eq!(parse("frobnicate"), Err("no command \"frobnicate\"; Tab completes, ? helps".into()));
        assert_eq!(parse("callers loud"), Err("say ring, silent or reject".into()));
        assert_eq!(parse("dnd maybe"), Err("say on, off or nothing".into()));
        assert_eq!(parse("contact verify Bob"), Err("usage: contact verify NAME FINGERPRINT".into()));
        assert_eq!(parse("call \"Aunt"), Err("a quotation mark is missing".into()));
    }

    #[test]
    fn tab_completes_commands_and_names() {
        let names = ["Alice", "Bob", "Albert"];
        assert_eq!(complete("an", &names), "answer ");
        assert_eq!(complete("contact re", &names), "contact re");
        assert_eq!(complete("call b", &names), "call Bob");
        assert_eq!(complete("call a", &names), "call Al");
        assert_eq!(complete("call ", &names), "call ");
        assert_eq!(complete("zzz", &names), "zzz");
    }

    #[test]
    fn every_offered_command_is_understood() {
        for (command, arguments, _) in COMMANDS {
            let line = match *arguments {
                "NAME ID" | "OLD NEW" | "NAME FINGERPRINT" => format!("{command} a b"),
                "NAME on|off" => format!("{command} a on"),
                "ring|silent|reject" => format!("{command} silent"),
                "" | "[on|off]" => (*command).to_owned(),
                _ => format!("{command} a"),
            };
            assert!(matches!(parse(&line), Ok(Some(_))), "{line}");
        }
    }
}
