// What ThreadSanitizer takes for races because the library was built without it. Only in its build.

// Poco's factory of sessions is a static of a function. Plugins that open databases at once meet
// there: the compiler's guard orders them, and its quick look at it cannot be seen from outside.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the sanitizer's name
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions() {
    return "race:Poco::Data::SessionFactory::\n";
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
