//! Texts of a policy that stand for many: `*` and `?`, and variables such as `${aws:username}`.
//!
//! Sources: IAM user guide, "IAM JSON policy elements: Resource" (wildcards and the colons of an ARN), "Condition
//! operators" (an ARN is compared part by part), "Variables and tags" (defaults, special characters, no value).

use super::context::{Found, Keys};

/// What one place of a pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// A colon written in the policy, not one out of a variable.
    Colon,
    /// `?`
    One,
    /// `*`
    Any,
    /// A `*` that stays within its part of an ARN.
    AnyWithin,
}

impl Token {
    fn takes(self, c: char) -> bool {
        match self {
            Self::Char(own) => own == c,
            Self::Colon => c == ':',
            Self::AnyWithin => c != ':',
            Self::One | Self::Any => true,
        }
    }

    fn is_star(self) -> bool {
        matches!(self, Self::Any | Self::AnyWithin)
    }
}

/// A text of a policy, its variables replaced.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Token>);

/// What became of a text of a policy.
pub(super) enum Resolved {
    To(Pattern),
    /// A variable in it has no value: it equals nothing and is like nothing.
    NoValue,
    /// A variable in it is a key of which nothing is known.
    Unknown(String),
}

/// Parts of an ARN: `arn`, partition, service, region, account, resource.
const PARTS: usize = 6;

impl Pattern {
    /// `text` without variables.
    pub fn wild(text: &str) -> Self {
        Self(text.chars().map(|c| token(c, true)).collect())
    }

    /// `text` with the variables in it replaced; `wild` says whether `*` and `?` stand for something. Without `keys`
    /// (policies of version 2008-10-17 have no variables) everything is taken as it is written.
    pub fn resolve(text: &str, wild: bool, keys: Option<&dyn Keys>) -> Resolved {
        let Some(keys) = keys else { return Resolved::To(Self(text.chars().map(|c| token(c, wild)).collect())) };
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            tokens.extend(before.chars().map(|c| token(c, wild)));
            match value_of(name, keys) {
                Variable::Value(value) => tokens.extend(value.chars().map(Token::Char)),
                Variable::NoValue => return Resolved::NoValue,
                Variable::Unknown => return Resolved::Unknown(key_of(name).to_owned()),
            }
            rest = tail;
        }
        tokens.extend(rest.chars().map(|c| token(c, wild)));
        Resolved::To(Self(tokens))
    }

    /// Whether `text` is, as a whole, what this stands for.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.0, text)
    }

    /// The same with the case of letters set aside.
    pub fn matches_any_case(&self, text: &str) -> bool {
        let lower = |token: &Token| match token {
            Token::Char(c) => c.to_lowercase().map(Token::Char).collect(),
            other => vec![*other],
        };
        matches(&self.0.iter().flat_map(lower).collect::<Vec<_>>(), &text.to_lowercase())
    }

    /// As a resource: in the parts before the resource's own, a `*` goes beyond the part's colon only as its last
    /// character.
    pub fn matches_resource(mut self, arn: &str) -> bool {
        let mut part = 0;
        for n in 0..self.0.len() {
            let next = self.0.get(n + 1).copied();
            part += usize::from(self.0[n] == Token::Colon);
            if self.0[n] == Token::Any && part + 1 < PARTS && next.is_some_and(|t| t != Token::Colon) {
                self.0[n] = Token::AnyWithin;
            }
        }
        matches(&self.0, arn)
    }

    /// As an ARN: each of the six parts for itself. A pattern that ends early in `*` leaves the rest open.
    pub fn matches_arn(&self, arn: &str) -> bool {
        let found: Vec<&str> = arn.splitn(PARTS, ':').collect();
        if found.len() != PARTS || found[0] != "arn" {
            return false;
        }
        let mut own: Vec<&[Token]> = self.0.splitn(PARTS, |token| *token == Token::Colon).collect();
        if own.len() < PARTS && own.last().is_some_and(|part| part.last() == Some(&Token::Any)) {
            own.resize(PARTS, &[Token::Any]);
        }
        own.len() == PARTS && own.iter().zip(found).all(|(own, found)| matches(own, found))
    }
}

fn token(c: char, wild: bool) -> Token {
    match c {
        '*' if wild => Token::Any,
        '?' if wild => Token::One,
        ':' => Token::Colon,
        c => Token::Char(c),
    }
}

enum Variable {
    Value(String),
    NoValue,
    Unknown,
}

/// The key in `key, 'default'`.
fn key_of(name: &str) -> &str {
    name.split_once(',').map_or(name, |(key, _)| key).trim()
}

fn value_of(name: &str, keys: &dyn Keys) -> Variable {
    if let "*" | "?" | "$" = name {
        return Variable::Value(name.to_owned());
    }
    let default = || {
        let (_, default) = name.split_once(',')?;
        default.trim().strip_prefix('\'')?.strip_suffix('\'').map(str::to_owned)
    };
    match keys.find(key_of(name)) {
        // Keys with several values are no variables.
        Found::Values(values) => match &values[..] {
            [value] => Variable::Value(value.clone()),
            _ => Variable::NoValue,
        },
        Found::Pathless(arn) => Variable::Value(arn),
        Found::Absent => default().map_or(Variable::NoValue, Variable::Value),
        Found::Unknown => Variable::Unknown,
    }
}

fn matches(pattern: &[Token], text: &str) -> bool {
    if pattern.contains(&Token::AnyWithin) { follow(pattern, text) } else { greedy(pattern, text) }
}

/// Steps after which matching is given up: hostile texts could otherwise keep it busy for days. What AWS takes for a policy
/// and a request needs a thousandth of them.
const MAX_STEPS: usize = 1 << 26;

/// Where every star reaches as far as it likes, only the last one has to be tried again.
fn greedy(pattern: &[Token], text: &str) -> bool {
    let (mut own, mut star) = (0, None);
    let mut steps = 0;
    let mut rest = text.chars();
    loop {
        steps += 1;
        if steps > MAX_STEPS {
            return false;
        }
        let before = rest.clone();
        if pattern.get(own).is_some_and(|token| token.is_star()) {
            own += 1;
            star = Some((own, before));
            continue;
        }
        match (rest.next(), pattern.get(own)) {
            (None, None) => return true,
            (Some(c), Some(token)) if token.takes(c) => own += 1,
            (None, Some(_)) => return false,
            (Some(_), _) => {
                let Some((after, mut from)) = star.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                (own, rest) = (after, from.clone());
                star = Some((after, from));
            }
        }
    }
}

/// Follows all ways to match at once.
fn follow(pattern: &[Token], text: &str) -> bool {
    if pattern.len().saturating_mul(text.len()) > MAX_STEPS {
        return false;
    }
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    let pass_stars = |reached: &mut Vec<bool>| {
        for (n, token) in pattern.iter().enumerate() {
            reached[n + 1] |= reached[n] && token.is_star();
        }
    };
    pass_stars(&mut reached);
    for c in text.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (n, token) in pattern.iter().enumerate().filter(|(n, _)| reached[*n]) {
            if token.takes(c) {
                next[if token.is_star() { n } else { n + 1 }] = true;
            }
        }
        pass_stars(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// Whether `text` matches `pattern`, where `*` stands for anything and `?` for one character.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    Pattern::wild(pattern).matches(text)
}
