#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdtrace::fuzzing::run("policy", bytes));
