// Makes a system call of one thread of a running daemon fail, or kill it there, by attaching
// strace. Says why where that is not possible. Nothing here knows what the daemon does with its
// calls.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace larder::test {

// Why strace cannot attach to our own children here; empty where it can.
std::string tracing_unavailable();

// The id of the daemon's thread of that name, waited for; throws std::runtime_error where none
// comes.
pid_t thread_named(pid_t process, const std::string& name);

class Tracer {
public:
    // `injections` as strace takes them, "fdatasync:error=EIO:when=2"; calls are counted from now
    // on, each thread's by themselves. Returns when strace is attached; throws std::runtime_error
    // where it cannot. `whole_process`: all threads of the process `thread`, and those to come.
    Tracer(pid_t thread, const std::vector<std::string>& injections, bool whole_process = false);
    ~Tracer();  // detaches: calls are themselves again
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

private:
    pid_t pid_ = -1;
    int messages_ = -1;
};

}  // namespace larder::test
