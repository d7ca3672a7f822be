//! What the facts are taken to mean: for the verdict, against it, and for the other causes.

use serde::Serialize;

use super::{Said, Subject, words};
use crate::classify::{Cause, Class, Finding, Hypothesis, Rule, Standing, Verdict};
use crate::correlate::{Gap, GapKind};

/// A finding with the rule it is from.
#[derive(Clone, Debug, Serialize)]
pub struct Argument<R> {
    pub rule: String,
    pub weight: f64,
    /// Kind of the evidence: intervention, named cause, state, probe, pattern, symptom.
    pub evidence: crate::classify::Evidence,
    pub standing: Standing,
    pub source: String,
    pub text: String,
    pub records: R,
}

/// One of the four causes, with all that speaks for and against it.
#[derive(Clone, Debug, Serialize)]
pub struct Alternative<R> {
    pub class: Cause,
    pub weight: f64,
    /// Whether the verdict is this.
    pub taken: bool,
    /// Why it is taken or not.
    pub text: String,
    #[serde(rename = "for")]
    pub supports: Vec<Argument<R>>,
    pub against: Vec<Argument<R>>,
}

/// The verdict as it is read from the findings.
pub struct Reading<'a> {
    pub(super) subject: Subject<'a>,
    pub verdict: &'a Verdict,
}

impl<R> Argument<R> {
    /// The same with other records.
    pub fn with<S>(self, records: impl FnOnce(R) -> S) -> Argument<S> {
        let Self { rule, weight, evidence, standing, source, text, records: from } = self;
        Argument { rule, weight, evidence, standing, source, text, records: records(from) }
    }
}

impl Reading<'_> {
    /// Findings for the verdict, the strongest first, and what they come to.
    #[must_use]
    pub fn interpretation(&self) -> Vec<Said> {
        let Verdict { class, mechanism, support, reason, .. } = self.verdict;
        let mut said = Vec::new();
        let head = match (support, reason) {
            (Some(support), _) => {
                let mechanism = mechanism.as_ref().map(|name| format!(", by way of {name}")).unwrap_or_default();
                let (name, meaning) = (class.name(), words::meaning(*class));
                let support = support.name().replace('_', " ");
                format!("The findings are read as {name}{mechanism} ({meaning}). Support: {support}.")
            }
            (None, reason) => {
                format!("Nothing is decided: {}.", reason.as_deref().unwrap_or("the causes are too close"))
            }
        };
        let findings = self.ranked(|finding| self.is_for(finding));
        said.push(Said { text: head, at: findings.first().map_or_else(Vec::new, |best| best.records.clone()) });
        for finding in findings {
            said.push(Said { text: finding.statement.clone(), at: finding.records.clone() });
        }
        if !self.verdict.missing_permissions.is_empty() {
            let text = format!("What was missing: {}.", words::listed(&self.verdict.missing_permissions));
            said.push(Said { text, at: Vec::new() });
        }
        said
    }

    /// What the verdict is not sure of.
    #[must_use]
    pub fn uncertainty(&self) -> Vec<Said> {
        let mut said = Vec::new();
        let mut say = |text: String| said.push(Said { text, at: Vec::new() });
        let (best, second) = self.leaders();
        let margin = self.subject.rules.pack.margin;
        if self.verdict.class != Class::Inconclusive {
            let lead = best.weight - second.weight.max(0.0);
            say(format!(
                "{} weighs {} and the next cause, {}, {}: a lead of {}, where {margin} are asked for. Weights are judgement \
                 by rules; the support is no probability.",
                best.class.name(),
                tenths(best.weight),
                second.class.name(),
                tenths(second.weight),
                tenths(lead)
            ));
        }
        let reported =
            self.ranked(|f| self.is_for(f) && self.rule(f).is_some_and(|r| r.standing == Standing::Reported));
        for finding in reported {
            let source = self.rule(finding).map_or("", |rule| rule.source.as_str());
            let text = format!("The rule {} rests on what users report and nobody confirmed ({source}).", finding.rule);
            said.push(Said { text, at: finding.records.clone() });
        }
        for finding in self.ranked(|f| self.is_for(f) && self.rule(f).is_some_and(|r| r.source.contains("leans on"))) {
            let source = self.rule(finding).map_or("", |rule| rule.source.as_str());
            let text = format!("The rule {} is only as good as the logs are complete ({source}).", finding.rule);
            said.push(Said { text, at: finding.records.clone() });
        }
        for finding in self.ranked(|f| self.is_own(f) && f.weight < 0.0) {
            let text = format!("Against the verdict: {}", finding.statement);
            said.push(Said { text, at: finding.records.clone() });
        }
        for finding in self.ranked(|f| f.class.is_none()) {
            said.push(Said { text: finding.statement.clone(), at: finding.records.clone() });
        }
        if self.verdict.class != Class::Inconclusive && margin > 0.0 {
            for finding in self.ranked(|f| f.class == Some(second.class) && f.weight > 0.0) {
                let text = format!("For {} instead: {}", second.class.name(), finding.statement);
                said.push(Said { text, at: finding.records.clone() });
            }
        }
        said.extend(self.coverage().into_iter().map(|text| Said { text, at: Vec::new() }));
        said.extend(self.gaps());
        said
    }

    /// What of the archive could not be read or had to be interpreted.
    fn coverage(&self) -> Vec<String> {
        let files = &self.subject.evidence.ingested.files;
        let sum = |of: fn(&crate::evidence::FileEntry) -> u64| files.iter().map(of).sum::<u64>();
        let (records, rejected) = (sum(|f| f.records), sum(|f| f.rejected));
        let mut said = Vec::new();
        if rejected > 0 {
            said.push(format!(
                "{rejected} of {records} records could not be read; what they say is not weighed (`holdtrace analyze \
                 --format json` lists them)."
            ));
        }
        for note in &self.subject.evidence.discovery.unreadable {
            said.push(format!("Not read: {note}."));
        }
        let zoneless = sum(|f| f.zoneless_times);
        if zoneless > 0 {
            said.push(format!("{zoneless} times in the archive carry no zone and were read with --assume-tz."));
        }
        for clock in self.subject.evidence.correlated.clocks.offsets.iter().filter(|clock| clock.applied) {
            said.push(format!("On clocks: {}.", clock.sentence()));
        }
        said
    }

    /// What is missing of the job, or of any source between the first failing attempt and what came of it.
    fn gaps(&self) -> Vec<Said> {
        let failure = self.subject.failure;
        let last = failure.recovered_at.or(failure.last_failed_at);
        let span = failure.first_failed_at.zip(last);
        let concerns = |gap: &&Gap| match gap.kind {
            GapKind::JobWithoutEnd => gap.job.is_some() && gap.job == failure.job_id,
            _ => span.is_some_and(|(first, last)| gap.overlaps(&gap.source, first, last)),
        };
        let said = |gap: &Gap| {
            let (may, source) = (if gap.possible { "may be " } else { "" }, words::source(&gap.source));
            Said { text: format!("Something {may}missing of {source}: {}.", gap.detail), at: gap.records.clone() }
        };
        self.subject.evidence.correlated.gaps.iter().filter(concerns).map(said).collect()
    }

    /// All four causes, the heaviest first.
    #[must_use]
    pub fn alternatives(&self) -> Vec<Alternative<Vec<crate::evidence::Locator>>> {
        let mut ranked: Vec<&Hypothesis> = self.verdict.hypotheses.iter().collect();
        ranked.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.class.cmp(&b.class)));
        let of = |hypothesis: &&Hypothesis| {
            let arguments = |positive: bool| {
                let chosen = self.ranked(|f| f.class == Some(hypothesis.class) && (f.weight > 0.0) == positive);
                chosen.into_iter().filter_map(|finding| self.argument(finding)).collect::<Vec<_>>()
            };
            let taken = Class::from(hypothesis.class) == self.verdict.class;
            Alternative {
                class: hypothesis.class,
                weight: hypothesis.weight,
                taken,
                text: self.why(hypothesis, taken),
                supports: arguments(true),
                against: arguments(false),
            }
        };
        ranked.iter().map(of).collect()
    }

    fn why(&self, hypothesis: &Hypothesis, taken: bool) -> String {
        let (name, weight) = (hypothesis.class.name(), tenths(hypothesis.weight));
        let meaning = words::meaning(Class::from(hypothesis.class));
        let (best, _) = self.leaders();
        let because = match (hypothesis.supports.is_empty(), hypothesis.against.is_empty()) {
            _ if taken => format!("is taken, with a weight of {weight}"),
            (true, true) => "is not taken: nothing in the evidence speaks for it, and nothing against".to_owned(),
            (true, false) => format!("is not taken: nothing speaks for it, and what speaks against weighs {weight}"),
            (false, _) if hypothesis.weight <= 0.0 => {
                format!("is not taken: what speaks against it outweighs what speaks for it ({weight})")
            }
            (false, _) if hypothesis.class == best.class => {
                format!("leads with a weight of {weight}, which is not enough to decide")
            }
            (false, _) if hypothesis.weight >= best.weight => {
                format!("is not taken: it weighs {weight}, as much as {}", best.class.name())
            }
            (false, _) => {
                let less = tenths(best.weight - hypothesis.weight);
                format!("is not taken: it weighs {weight}, {less} less than {}", best.class.name())
            }
        };
        format!("{name} ({meaning}) {because}.")
    }

    fn argument(&self, finding: &Finding) -> Option<Argument<Vec<crate::evidence::Locator>>> {
        let rule = self.rule(finding)?;
        Some(Argument {
            rule: finding.rule.clone(),
            weight: finding.weight,
            evidence: rule.evidence,
            standing: rule.standing,
            source: rule.source.clone(),
            text: finding.statement.clone(),
            records: finding.records.clone(),
        })
    }

    fn leaders(&self) -> (&Hypothesis, &Hypothesis) {
        let mut ranked: Vec<&Hypothesis> = self.verdict.hypotheses.iter().collect();
        ranked.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.class.cmp(&b.class)));
        (ranked[0], ranked[1])
    }

    fn is_own(&self, finding: &Finding) -> bool {
        finding.is_of(self.verdict.class)
    }

    /// Whether a finding speaks for the verdict; where there is none, for anything.
    fn is_for(&self, finding: &Finding) -> bool {
        finding.weight > 0.0 && (self.verdict.class == Class::Inconclusive || self.is_own(finding))
    }

    /// Findings, the weightiest first, of equals in the order of the pack.
    fn ranked(&self, wanted: impl Fn(&Finding) -> bool) -> Vec<&Finding> {
        let mut found: Vec<&Finding> = self.verdict.findings.iter().filter(|finding| wanted(finding)).collect();
        found.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        found
    }

    fn rule(&self, finding: &Finding) -> Option<&Rule> {
        self.subject.rules.pack.rules.iter().find(|rule| rule.id == finding.rule)
    }
}

/// A weight as it is printed.
pub fn tenths(weight: f64) -> f64 {
    (weight * 10.0).round() / 10.0 + 0.0
}
