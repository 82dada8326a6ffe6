// Alerts on their way out: tried until they are taken, signed, mailed; to servers of the test's
// own.
#include "notify/notifier.hpp"

#include <stdexcept>

#include "notify/mail.hpp"
#include "notify/webhook.hpp"
#include "support/eventually.hpp"
#include "support/kept_log.hpp"
#include "support/sinks.hpp"
#include "support/suite.hpp"

namespace larder::notify {
namespace {

using namespace std::chrono_literals;
using test::eventually;

class NotifyTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(NotifyTest);
    CPPUNIT_TEST(tries_until_it_is_taken_and_keeps_the_order);
    CPPUNIT_TEST(gives_up_what_is_refused_for_good);
    CPPUNIT_TEST(gives_up_after_so_many_tries);
    CPPUNIT_TEST(whoever_tells_does_not_wait);
    CPPUNIT_TEST(too_many_lose_the_oldest);
    CPPUNIT_TEST(stops_in_the_midst_of_a_pause);
    CPPUNIT_TEST(posts_json_that_is_signed);
    CPPUNIT_TEST(signs_as_the_rfc_has_it);
    CPPUNIT_TEST(tells_what_may_be_tried_again);
    CPPUNIT_TEST(mails_what_is_wrong);
    CPPUNIT_TEST(no_text_of_a_plugin_makes_a_header);
    CPPUNIT_TEST(tells_a_refused_mail_from_a_server_that_is_away);
    CPPUNIT_TEST(reads_the_urls_it_is_given);
    CPPUNIT_TEST_SUITE_END();

public:
    void tries_until_it_is_taken_and_keeps_the_order() {
        std::mutex mutex;
        std::vector<std::string> tried;
        Notifier notifier(
            "test", log_,
            [&](const Notice& notice) {
                const std::scoped_lock lock(mutex);
                tried.push_back(notice.id.substr(notice.id.find('-')) + notice.alert.key);
                if (tried.size() < 3) throw NotTaken("it is away", false);
                return true;
            },
            1ms, 2ms);
        notifier.tell(alert("a"));
        notifier.tell(alert("b"));
        CPPUNIT_ASSERT(eventually([&] {
            const std::scoped_lock lock(mutex);
            return tried.size() == 4;
        }));
        const std::scoped_lock lock(mutex);
        CPPUNIT_ASSERT((tried == std::vector<std::string>{"-1a", "-1a", "-1a", "-2b"}));
        CPPUNIT_ASSERT(log_.has("it is away; it will be tried again"));
    }

    void gives_up_what_is_refused_for_good() {
        std::atomic<int> tries{0};
        Notifier notifier(
            "test", log_,
            [&](const Notice&) -> bool {
                ++tries;
                throw NotTaken("never", true);
            },
            1ms, 1ms);
        notifier.tell(alert("a"));
        notifier.tell(alert("b"));
        CPPUNIT_ASSERT(eventually([&] { return tries == 2; }));
        notifier.stop();
        CPPUNIT_ASSERT(log_.has("never; it is given up"));
    }

    void gives_up_after_so_many_tries() {
        std::atomic<unsigned> tries{0};
        Notifier notifier(
            "test", log_,
            [&](const Notice& notice) -> bool {
                if (notice.alert.key == "b") return true;
                ++tries;
                throw std::runtime_error("no");
            },
            1ms, 1ms);
        notifier.tell(alert("a"));
        CPPUNIT_ASSERT(eventually([&] { return log_.has("it is given up"); }));
        CPPUNIT_ASSERT_EQUAL(Notifier::kMostTries, tries.load());
    }

    void whoever_tells_does_not_wait() {
        std::mutex held;
        std::atomic<int> taken{0};
        Notifier notifier("test", log_, [&](const Notice&) {
            const std::scoped_lock lock(held);
            ++taken;
            return true;
        });
        {
            const std::scoped_lock lock(held);
            for (int i = 0; i < 10; ++i) notifier.tell(alert("a"));
            CPPUNIT_ASSERT_EQUAL(0, taken.load());
        }
        CPPUNIT_ASSERT(eventually([&] { return taken == 10; }));
    }

    void too_many_lose_the_oldest() {
        std::mutex held;
        std::vector<std::string> taken;
        Notifier notifier("test", log_, [&](const Notice& notice) {
            const std::scoped_lock lock(held);
            taken.push_back(notice.alert.key);
            return true;
        });
        const std::size_t all = Notifier::kMostWaiting + 10;
        {
            const std::scoped_lock lock(held);
            for (std::size_t i = 0; i < all; ++i) notifier.tell(alert(std::to_string(i)));
        }
        CPPUNIT_ASSERT(eventually([&] {
            const std::scoped_lock lock(held);
            return !taken.empty() && taken.back() == std::to_string(all - 1);
        }));
        CPPUNIT_ASSERT(taken.size() < all);
        CPPUNIT_ASSERT(log_.has("the oldest was lost"));
    }

    void stops_in_the_midst_of_a_pause() {
        std::atomic<int> tries{0};
        Notifier notifier(
            "test", log_,
            [&](const Notice&) -> bool {
                ++tries;
                throw NotTaken("no", false);
            },
            1h, 1h);
        notifier.tell(alert("a"));
        CPPUNIT_ASSERT(eventually([&] { return tries == 1; }));
        notifier.stop();
        notifier.tell(alert("b"));
        CPPUNIT_ASSERT_EQUAL(1, tries.load());
    }

    void posts_json_that_is_signed() {
        test::WebSink sink;
        Notice notice{"17-1", alert("quota \"x\"")};
        post_webhook({sink.url(), "secret"}, notice, "host-a");
        notice.alert.resolved_ms = 2000;
        post_webhook({sink.url(), ""}, notice, "host-a");
        const auto got = sink.got();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, got.size());
        CPPUNIT_ASSERT(got[0].starts_with("POST /hook?a=b HTTP/1.1\r\n"));
        CPPUNIT_ASSERT(got[0].find("Larder-Delivery: 17-1\r\n") != std::string::npos);
        const std::string body = got[0].substr(got[0].find("\r\n\r\n") + 4);
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"event":"raised","key":"quota \"x\"","source":"files",)"
                        R"("severity":"warning","text":"full\nof it","host":"host-a","count":3,)"
                        R"("raised_at":"1970-01-01T00:00:01.000Z","resolved_at":null})"),
            body);
        const std::size_t at = got[0].find("Larder-Signature: t=") + 20;
        const std::string signature = got[0].substr(at, got[0].find("\r\n", at) - at);
        const std::string time = signature.substr(0, signature.find(','));
        CPPUNIT_ASSERT_EQUAL(time + ",v1=" + hmac_sha256_hex("secret", time + "." + body),
                             signature);
        CPPUNIT_ASSERT(got[1].find("Larder-Signature") == std::string::npos);
        CPPUNIT_ASSERT(got[1].find(R"("event":"resolved")") != std::string::npos);
        CPPUNIT_ASSERT(got[1].find(R"("resolved_at":"1970-01-01T00:00:02.000Z")") !=
                       std::string::npos);
    }

    // RFC 4231, test case 2.
    void signs_as_the_rfc_has_it() {
        CPPUNIT_ASSERT_EQUAL(
            std::string("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            hmac_sha256_hex("Jefe", "what do ya want for nothing?"));
    }

    void tells_what_may_be_tried_again() {
        const Notice notice{"1", alert("a")};
        for (const auto& [status, is_final] : std::vector<std::pair<int, bool>>{{500, false},
                                                                                {503, false},
                                                                                {302, false},
                                                                                {400, true},
                                                                                {404, true},
                                                                                {408, false},
                                                                                {429, false}}) {
            test::WebSink sink({status});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(std::to_string(status),
                                         std::string(is_final ? "final" : "again"), outcome([&] {
                                             post_webhook({sink.url(), ""}, notice, "h");
                                         }));
        }
        int gone = 0;
        {
            const test::ListeningSocket socket;
            gone = socket.port();
        }
        CPPUNIT_ASSERT_EQUAL(
            std::string("again"), outcome([&] {
                post_webhook({"http://127.0.0.1:" + std::to_string(gone), ""}, notice, "h");
            }));
    }

    void mails_what_is_wrong() {
        test::MailSink sink;
        Notice notice{"17-1", alert("quota")};
        const MailTarget target{mail_server_of(sink.url()),
                                "larderd@data.example",
                                {"ann@example.org", "bob@example.org"}};
        send_mail(target, notice, "host-a");
        notice.alert.resolved_ms = 2000;
        send_mail(target, notice, "host-a");
        CPPUNIT_ASSERT(eventually([&] { return sink.got().size() == 2; }));
        const std::string mail = sink.got()[0];
        for (const char* part :
             {"EHLO data.example", "MAIL FROM: <larderd@data.example>",
              "RCPT TO: <ann@example.org>", "RCPT TO: <bob@example.org>",
              "Subject: [larder host-a] warning: quota of files",
              "Message-ID: <17-1.larderd@host-a>", "Auto-Submitted: auto-generated", "full",
              "of it", "raised:   1970-01-01T00:00:01.000Z"}) {
            CPPUNIT_ASSERT_MESSAGE(mail + part, mail.find(part) != std::string::npos);
        }
        CPPUNIT_ASSERT(sink.got()[1].find("resolved: quota of files") != std::string::npos);
    }

    void no_text_of_a_plugin_makes_a_header() {
        test::MailSink sink;
        const Notice notice{"1", alert("a\r\nBcc: eve@example.org\r\n\r\n.\r\nQUIT")};
        send_mail({mail_server_of(sink.url()), "larderd@a", {"ann@a"}}, notice, "h");
        CPPUNIT_ASSERT(eventually([&] { return sink.got().size() == 1; }));
        const std::string mail = sink.got()[0];
        CPPUNIT_ASSERT_MESSAGE(mail, mail.find("\nBcc:") == std::string::npos ||
                                         mail.find("\nBcc:") > mail.find("\n\n"));
        CPPUNIT_ASSERT_MESSAGE(mail, mail.find("raised:") != std::string::npos);
    }

    void tells_a_refused_mail_from_a_server_that_is_away() {
        const Notice notice{"1", alert("a")};
        for (const auto& [reply, is_final] : std::vector<std::pair<std::string, bool>>{
                 {"550 no such user", true}, {"451 try later", false}}) {
            test::MailSink sink(reply);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                reply, std::string(is_final ? "final" : "again"), outcome([&] {
                    send_mail({mail_server_of(sink.url()), "larderd@a", {"ann@a"}}, notice, "h");
                }));
        }
    }

    void reads_the_urls_it_is_given() {
        const MailServer plain = mail_server_of("smtp://mail.example");
        CPPUNIT_ASSERT_EQUAL(std::string("mail.example"), plain.host);
        CPPUNIT_ASSERT_EQUAL(std::uint16_t{25}, plain.port);
        CPPUNIT_ASSERT(!plain.tls);
        const MailServer tls = mail_server_of("smtps://ann%40a:p%3Ass@mail.example:4650");
        CPPUNIT_ASSERT_EQUAL(std::string("ann@a"), tls.user);
        CPPUNIT_ASSERT_EQUAL(std::string("p:ss"), tls.password);
        CPPUNIT_ASSERT_EQUAL(std::uint16_t{4650}, tls.port);
        CPPUNIT_ASSERT_EQUAL(std::uint16_t{465}, mail_server_of("smtps://a").port);
        for (const char* url : {"", "mail.example", "http://a", "smtp://", "smtp://ann:pw@a"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(url, mail_server_of(url), std::invalid_argument);
        }
        CPPUNIT_ASSERT_NO_THROW(check_webhook_url("https://a.example/b?c=d"));
        for (const char* url : {"", "a.example", "ftp://a", "http://", "http:///x"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(url, check_webhook_url(url), std::invalid_argument);
        }
    }

private:
    static observe::Alert alert(const std::string& key) {
        observe::Alert alert;
        alert.id = 1;
        alert.key = key;
        alert.source = "files";
        alert.text = "full\nof it";
        alert.raised_ms = alert.latest_ms = 1000;
        alert.count = 3;
        return alert;
    }
    template <class Call> static std::string outcome(Call call) {
        try {
            call();
            return "taken";
        } catch (const NotTaken& error) {
            return error.is_final() ? "final" : "again";
        }
    }

    test::KeptLog log_;
};

LARDER_TEST_SUITE(NotifyTest);

}  // namespace
}  // namespace larder::notify
