// larder-limit PROCESSES ADDRESS-SPACE COMMAND [ARGUMENT…]
//
// Sets limits on itself and becomes the command; 0 means no limit. It is run in the sandbox, where
// the limit of processes counts those of the sandbox alone.
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool limit(__rlimit_resource what, const char* text) {
    const rlim_t most = std::strtoull(text, nullptr, 10);
    const rlimit both{most, most};
    return most == 0 || ::setrlimit(what, &both) == 0;
}

}  // namespace

int main(int count, char** words) {
    if (count < 4) return 2;
    if (limit(RLIMIT_NPROC, words[1]) && limit(RLIMIT_AS, words[2])) ::execv(words[3], words + 3);
    (void)std::fprintf(stderr, "%s: %s\n", words[3], std::strerror(errno));
    return 127;
}
