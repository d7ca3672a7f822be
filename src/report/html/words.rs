//! What the page says in plain words.

use crate::classify::Class;

/// A class as a reader who knows none of the terms would say it.
#[must_use]
pub const fn plain_class(class: Class) -> &'static str {
    match class {
        Class::ScopeCollision => "the caller lacked a permission",
        Class::SyncRace => "the system had not settled yet: a hold or a grant was still on its way",
        Class::PolicyMismatch => "a policy refused the request",
        Class::OtherCause => "another cause, which is named",
        Class::Inconclusive => "the evidence does not decide",
    }
}

/// The name of a class in headings and filters.
#[must_use]
pub const fn title(class: Class) -> &'static str {
    match class {
        Class::ScopeCollision => "Scope collision",
        Class::SyncRace => "Sync race",
        Class::PolicyMismatch => "Policy mismatch",
        Class::OtherCause => "Other cause",
        Class::Inconclusive => "Inconclusive",
    }
}

/// `count` of a thing.
#[must_use]
pub fn count(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number with a comma between its thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
