// From an Authorization header to who it is: tokens, passwords tried and remembered, failures
// recorded. Workers are the test's own.
#include "access/access.hpp"

#include <deque>

#include "access/secrets.hpp"
#include "larder/time.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/encodings.hpp"
#include "support/fake_exchange.hpp"
#include "support/fault_disk.hpp"
#include "support/kept_log.hpp"
#include "support/suite.hpp"

namespace larder::access {
namespace {

class KeptAudit final : public Audit {
public:
    void record(const AuditRecord& record) override {
        if (refuses) throw Error(Errc::unavailable, "audit-refused", "no");
        lines.push_back(std::string(record.action) + " " + std::string(record.actor) + " " +
                        std::string(record.outcome) + " " + std::string(record.ip_address) + " " +
                        std::string(record.details));
    }
    bool refuses = false;
    std::vector<std::string> lines;
};

class CredentialsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CredentialsTest);
    CPPUNIT_TEST(knows_a_token);
    CPPUNIT_TEST(knows_no_other_token);
    CPPUNIT_TEST(a_token_ends_with_its_time_or_its_user);
    CPPUNIT_TEST(a_password_is_tried_once_and_remembered);
    CPPUNIT_TEST(a_wrong_password_is_no_other);
    CPPUNIT_TEST(a_new_password_ends_the_old_one_at_once);
    CPPUNIT_TEST(says_when_too_many_wait);
    CPPUNIT_TEST(throttles_guesses_but_not_whom_it_knows);
    CPPUNIT_TEST(refuses_what_is_neither);
    CPPUNIT_TEST(records_failures_once_a_minute);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        accounts_.change([&](Directory& directory) {
            directory.users["ann"] = {
                "ann", hash_password("correct horse", {4, 1, 1}), {"editor"}, false, 1, 1};
            directory.tokens[made_.id] = token("ann");
        });
    }

    void knows_a_token() {
        const auto identity = ask("Bearer " + made_.text);
        CPPUNIT_ASSERT(identity.principal && !identity.refusal);
        CPPUNIT_ASSERT_EQUAL(std::string("ann/ci"), identity.principal->name);
        CPPUNIT_ASSERT(identity.principal->by == Principal::By::token);
        CPPUNIT_ASSERT_EQUAL(made_.id, identity.principal->token_id);
        CPPUNIT_ASSERT(identity.principal->rights.allow("kv", Permission::read));
        CPPUNIT_ASSERT(!identity.principal->rights.allow("kv", Permission::write));
        CPPUNIT_ASSERT_EQUAL(identity.principal, ask("bearer  " + made_.text).principal);
        CPPUNIT_ASSERT(unix_now_ms() - *accounts_.now()->tokens.at(made_.id).last_used_ms < 60000);
    }

    void knows_no_other_token() {
        std::string other = made_.text;
        other.back() = other.back() == 'A' ? 'B' : 'A';
        for (const std::string& text :
             {other, made_.text + "A", made_.text.substr(0, made_.text.size() - 1),
              make_token().text, std::string("nonsense"), std::string("x")}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, 401, status("Bearer " + text));
        }
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0},
                             accounts_.now()->tokens.at(made_.id).last_used_ms->load());
    }

    void a_token_ends_with_its_time_or_its_user() {
        CPPUNIT_ASSERT_EQUAL(200, status("Bearer " + made_.text));
        change_token([](Token& token) { token.expires_ms = unix_now_ms() - 1; });
        CPPUNIT_ASSERT_EQUAL(401, status("Bearer " + made_.text));
        change_token([](Token& token) { token.expires_ms = unix_now_ms() + 100000; });
        CPPUNIT_ASSERT_EQUAL(200, status("Bearer " + made_.text));
        accounts_.change([](Directory& directory) { directory.users["ann"].disabled = true; });
        CPPUNIT_ASSERT_EQUAL(401, status("Bearer " + made_.text));
        accounts_.change([](Directory& directory) { directory.users.clear(); });
        CPPUNIT_ASSERT_EQUAL(401, status("Bearer " + made_.text));
        change_token([](Token& token) { token.user = ""; });
        CPPUNIT_ASSERT_EQUAL(std::string("token/ci"), ask("Bearer " + made_.text).principal->name);
        accounts_.change([](Directory& directory) { directory.tokens.clear(); });
        CPPUNIT_ASSERT_EQUAL(401, status("Bearer " + made_.text));
    }

    void a_password_is_tried_once_and_remembered() {
        const auto first = ask(kAnn);
        CPPUNIT_ASSERT(first.attempt && !first.principal && !first.refusal);
        CPPUNIT_ASSERT(first.attempt->state() == Attempt::State::waiting);
        work();
        CPPUNIT_ASSERT_EQUAL(1, again());
        const auto then = ask(kAnn, first.attempt.get());
        CPPUNIT_ASSERT(then.principal && !then.attempt);
        CPPUNIT_ASSERT_EQUAL(std::string("ann"), then.principal->name);
        CPPUNIT_ASSERT(then.principal->by == Principal::By::password);
        CPPUNIT_ASSERT(ask(kAnn).principal);
        CPPUNIT_ASSERT(tasks_.empty());
        logins_.set_limits({{}, std::chrono::milliseconds(0)});
        CPPUNIT_ASSERT_MESSAGE("not remembered any more", ask(kAnn).attempt);
        work();
        const auto last = ask(kAnn);
        work();
        CPPUNIT_ASSERT_MESSAGE("the attempt's own word does",
                               ask(kAnn, last.attempt.get()).principal);
    }

    void a_wrong_password_is_no_other() {
        CPPUNIT_ASSERT_EQUAL(401, tried("Basic " + storage::to_base64url("ann:wrong horse")));
        CPPUNIT_ASSERT_EQUAL(401, tried("Basic " + storage::to_base64url("ann:")));
        CPPUNIT_ASSERT_EQUAL(401, tried("Basic " + storage::to_base64url("bob:correct horse")));
        CPPUNIT_ASSERT_EQUAL(200, tried(kAnn));
        accounts_.change([](Directory& directory) { directory.users["ann"].disabled = true; });
        CPPUNIT_ASSERT_EQUAL(401, tried(kAnn));
    }

    void a_new_password_ends_the_old_one_at_once() {
        CPPUNIT_ASSERT_EQUAL(200, tried(kAnn));
        accounts_.change([](Directory& directory) {
            directory.users["ann"].password_hash = hash_password("battery staple", {4, 1, 1});
        });
        CPPUNIT_ASSERT_EQUAL(401, tried(kAnn));
        CPPUNIT_ASSERT_EQUAL(200, tried("Basic " + storage::to_base64url("ann:battery staple")));
    }

    void says_when_too_many_wait() {
        logins_.set_limits({{1000, 1000, std::chrono::minutes(5)}, std::chrono::minutes(5)});
        std::size_t waiting = 0;
        while (ask(kAnn).attempt) ++waiting;
        CPPUNIT_ASSERT_EQUAL(Logins::kMostWaiting, waiting);
        const auto refused = ask(kAnn);
        CPPUNIT_ASSERT(refused.refusal);
        CPPUNIT_ASSERT_EQUAL(503, refused.refusal->status);
        CPPUNIT_ASSERT_EQUAL(1, refused.refusal->retry_after);
        CPPUNIT_ASSERT_EQUAL(Logins::kMostAtOnce, tasks_.size());
        work();
        CPPUNIT_ASSERT_EQUAL(static_cast<int>(waiting), again());
        busy_ = true;
        CPPUNIT_ASSERT_EQUAL_MESSAGE("no worker is free", 503,
                                     status("Basic " + storage::to_base64url("ann:another")));
    }

    void throttles_guesses_but_not_whom_it_knows() {
        logins_.set_limits({{3, 5, std::chrono::minutes(5)}, std::chrono::minutes(5)});
        CPPUNIT_ASSERT_EQUAL(200, tried(kAnn));
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT_EQUAL(401, tried(guess(i)));
        const auto refused = ask(guess(9));
        CPPUNIT_ASSERT(refused.refusal);
        CPPUNIT_ASSERT_EQUAL(429, refused.refusal->status);
        CPPUNIT_ASSERT(refused.refusal->retry_after > 200 && refused.refusal->retry_after <= 300);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("she is known", 200, status(kAnn));
        const auto checked = logins_.check("ann", "correct horse", {"192.0.2.1", ""});
        CPPUNIT_ASSERT(std::holds_alternative<Logins::Throttled>(checked));
    }

    void refuses_what_is_neither() {
        for (const char* given : {"", "Bearer", "Basic", "Digest username=x", "Bearer ", "Basic ",
                                  "Basic !", "Basic YW5u", "larder"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(given, 401, status(given));
        }
        // Even of whom the socket would let in: who shows credentials is judged by them.
        peer_.local = true;
        CPPUNIT_ASSERT_EQUAL(401, status("Bearer nonsense"));
    }

    void records_failures_once_a_minute() {
        for (int i = 0; i < 3; ++i) status("Bearer larder_0123456789ab_x");
        work();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, audit_.lines.size());
        CPPUNIT_ASSERT_EQUAL(
            std::string("auth.failed 0123456789ab unknown-token 192.0.2.7 {\"count\":3}"),
            audit_.lines[0]);
        for (int i = 0; i < 5; ++i) status("Bearer larder_0123456789ab_x");
        work();
        CPPUNIT_ASSERT_EQUAL_MESSAGE("not yet", std::size_t{1}, audit_.lines.size());
        now_ += Failures::kPeriodMs;
        audit_.refuses = true;
        failures_.hand_over();
        audit_.refuses = false;
        now_ += Failures::kPeriodMs;
        failures_.hand_over();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, audit_.lines.size());
        CPPUNIT_ASSERT_MESSAGE(audit_.lines[1],
                               audit_.lines[1].find("\"count\":5") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{8}, failures_.count(Fault::token));
        now_ += Failures::kPeriodMs;
        failures_.hand_over();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, audit_.lines.size());
    }

private:
    Token token(const std::string& user) const {
        Token token;
        token.id = made_.id;
        token.name = "ci";
        storage::Sha256 sum;
        sum.update(made_.text);
        token.sha256 = sum.finish_hex();
        token.scopes = {"kv:read"};
        token.user = user;
        return token;
    }
    template <class Edit> void change_token(Edit edit) {
        accounts_.change([&](Directory& directory) { edit(directory.tokens.at(made_.id)); });
    }
    Access::Identity ask(const std::string& given, const Attempt* tried = nullptr) {
        const auto exchange = std::make_shared<test::FakeExchange>(
            "GET", "/", std::vector<http::Field>{{"Authorization", given}});
        exchange->mutable_peer() = peer_;
        asked_.push_back(exchange);
        return access_.identify(exchange, tried);
    }
    // 200, or what it was refused with; 0 where it waits.
    int status(const std::string& given, const Attempt* tried = nullptr) {
        const auto identity = ask(given, tried);
        return identity.principal ? 200 : identity.refusal ? identity.refusal->status : 0;
    }
    int tried(const std::string& given) {
        const auto identity = ask(given);
        if (!identity.attempt) return status(given);
        work();
        return status(given, identity.attempt.get());
    }
    int again() const {
        int all = 0;
        for (const auto& exchange : asked_) all += exchange->beginnings();
        return all;
    }
    void work() {
        while (!tasks_.empty()) {
            Task task = std::move(tasks_.front());
            tasks_.pop_front();
            task();
        }
    }
    static std::string guess(int i) {
        return "Basic " + storage::to_base64url("ann:guess " + std::to_string(i));
    }
    bool post(Task task) {
        if (busy_) return false;
        tasks_.push_back(std::move(task));
        return true;
    }
    static Policy with_auth() {
        Policy policy;
        policy.auth_enabled = true;
        return policy;
    }

    static inline const std::string kAnn = "Basic " + storage::to_base64url("ann:correct horse");
    const NewToken made_ = make_token();
    test::FaultDisk disk_;
    test::KeptLog log_;
    KeptAudit audit_;
    std::deque<Task> tasks_;
    bool busy_ = false;
    std::vector<std::shared_ptr<test::FakeExchange>> asked_;
    std::int64_t now_ = 1000000;
    http::Peer peer_{"192.0.2.7", 0, false, 0, 0, false};
    Accounts accounts_{disk_, "/data/users.json", log_};
    Failures failures_{audit_, log_, [this](Task task) { return post(std::move(task)); },
                       [this] { return now_; }};
    Logins logins_{accounts_, failures_, [this](Task task) { return post(std::move(task)); }};
    Keepers keepers_{accounts_, logins_, failures_};
    Access access_{with_auth(), &keepers_};
};

LARDER_TEST_SUITE(CredentialsTest);

}  // namespace
}  // namespace larder::access
