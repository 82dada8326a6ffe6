// The poller on real descriptors: who is told of what, and that nobody is told who was taken out,
// also in the midst of a round.
#include "http/poller.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "support/suite.hpp"

namespace {

using namespace std::chrono_literals;
using larder::http::Poller;
using larder::http::Watched;

// Two connected sockets; what is written to `theirs` is seen at `ours`.
struct Pair {
    int ours = -1, theirs = -1;
    Pair() {
        int both[2];
        CPPUNIT_ASSERT_EQUAL(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both));
        ours = both[0];
        theirs = both[1];
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    ~Pair() {
        ::close(ours);
        ::close(theirs);
    }
    void say(char byte) const { CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(theirs, &byte, 1)); }
};

class Probe final : public Watched {
public:
    int told = 0;
    std::uint32_t last = 0;
    std::function<void()> then;

private:
    void on_events(std::uint32_t events) noexcept override {
        ++told;
        last = events;
        if (then) then();
    }
};

class PollerTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PollerTest);
    CPPUNIT_TEST(tells_an_edge_once);
    CPPUNIT_TEST(tells_of_an_end);
    CPPUNIT_TEST(who_is_taken_out_in_the_round_is_not_told);
    CPPUNIT_TEST(soon_comes_in_the_next_round_without_waiting);
    CPPUNIT_TEST(who_is_taken_out_before_soon_is_not_told);
    CPPUNIT_TEST(what_will_not_be_watched_is_refused);
    CPPUNIT_TEST(a_wake_ends_a_wait_for_ever);
    CPPUNIT_TEST_SUITE_END();

    void tells_an_edge_once() {
        Poller poller;
        const Pair pair;
        Probe probe;
        CPPUNIT_ASSERT(poller.add(pair.ours, EPOLLIN | EPOLLET, probe));
        pair.say('a');
        poller.wait(1000ms);
        CPPUNIT_ASSERT_EQUAL(1, probe.told);
        CPPUNIT_ASSERT((probe.last & EPOLLIN) != 0);
        poller.wait(0ms);  // unread, but no news
        CPPUNIT_ASSERT_EQUAL(1, probe.told);
        pair.say('b');
        poller.wait(1000ms);
        CPPUNIT_ASSERT_EQUAL(2, probe.told);
    }

    void tells_of_an_end() {
        Poller poller;
        const Pair pair;
        Probe probe;
        CPPUNIT_ASSERT(poller.add(pair.ours, EPOLLIN | EPOLLRDHUP | EPOLLET, probe));
        ::shutdown(pair.theirs, SHUT_WR);
        poller.wait(1000ms);
        CPPUNIT_ASSERT_EQUAL(1, probe.told);
        CPPUNIT_ASSERT((probe.last & EPOLLRDHUP) != 0);
    }

    void who_is_taken_out_in_the_round_is_not_told() {
        Poller poller;
        const Pair pairs[2];
        Probe probes[2];
        for (int i = 0; i < 2; ++i) {
            CPPUNIT_ASSERT(poller.add(pairs[i].ours, EPOLLIN | EPOLLET, probes[i]));
            pairs[i].say('x');
            // Whoever is told first takes the other one out.
            probes[i].then = [&, i] { poller.remove(pairs[1 - i].ours, probes[1 - i]); };
        }
        poller.wait(1000ms);
        poller.wait(0ms);
        CPPUNIT_ASSERT_EQUAL(1, probes[0].told + probes[1].told);
    }

    void soon_comes_in_the_next_round_without_waiting() {
        Poller poller;
        Probe probe;
        poller.soon(probe);
        CPPUNIT_ASSERT_EQUAL(0, probe.told);
        probe.then = [&] {
            if (probe.told == 1) poller.soon(probe);
        };
        poller.wait(-1ms);
        CPPUNIT_ASSERT_EQUAL(1, probe.told);
        CPPUNIT_ASSERT_EQUAL(0U, probe.last);
        poller.wait(-1ms);
        CPPUNIT_ASSERT_EQUAL(2, probe.told);
        poller.wait(0ms);
        CPPUNIT_ASSERT_EQUAL(2, probe.told);
    }

    void who_is_taken_out_before_soon_is_not_told() {
        Poller poller;
        const Pair pair;
        Probe first, second;
        CPPUNIT_ASSERT(poller.add(pair.ours, EPOLLIN | EPOLLET, second));
        poller.soon(first);
        poller.soon(second);
        first.then = [&] { poller.remove(pair.ours, second); };
        poller.wait(0ms);
        CPPUNIT_ASSERT_EQUAL(1, first.told);
        CPPUNIT_ASSERT_EQUAL(0, second.told);
    }

    void what_will_not_be_watched_is_refused() {
        Poller poller;
        Probe probe;
        CPPUNIT_ASSERT(!poller.add(-1, EPOLLIN, probe));
    }

    void a_wake_ends_a_wait_for_ever() {
        Poller poller;
        poller.wake();  // before the wait: it is not lost
        poller.wait(-1ms);
        std::thread other([&] { poller.wake(); });
        poller.wait(-1ms);
        other.join();
    }
};

LARDER_TEST_SUITE(PollerTest);

}  // namespace
