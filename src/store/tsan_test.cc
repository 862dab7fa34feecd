// RocksDB comes compiled without ThreadSanitizer, which therefore does not see the atomics that
// order its memory: reports with a frame inside the library say nothing. Our own threads are fully
// checked.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:librocksdb.so\n";
}
#endif
#endif
