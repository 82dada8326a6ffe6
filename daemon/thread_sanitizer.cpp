// What ThreadSanitizer takes for races because the library was built without it. Only in its build.

// Poco's factory of sessions is a static of a function. Plugins that open databases at once meet
// there: the compiler's guard orders them, and its quick look at it cannot be seen from outside.
extern "C" __attribute__((visibility("default"))) const char*
__tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
    return "race:Poco::Data::SessionFactory::\n";
}
