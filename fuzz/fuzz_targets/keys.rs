#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| grantcore_fuzz::run("keys", data));
