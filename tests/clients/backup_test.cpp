// backups as a client sees them, against a real larderd: made, verified, restored, thinned out,
// taken in; and what is said of those that are damaged, hostile or without their key.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "support/command.hpp"
#include "support/daemon_fixture.hpp"
#include "support/event_client.hpp"
#include "support/eventually.hpp"
#include "support/json_view.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;
using Object = Poco::JSON::Object::Ptr;

class BackupTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(BackupTest);
    CPPUNIT_TEST(makes_what_tar_opens);
    CPPUNIT_TEST(answers_at_once_and_tells_progress);
    CPPUNIT_TEST(refuses_bad_requests);
    CPPUNIT_TEST(restores_all_of_it);
    CPPUNIT_TEST(restores_components);
    CPPUNIT_TEST(restores_what_the_daemon_keeps);
    CPPUNIT_TEST(a_plugin_that_came_later_keeps_its_data);
    CPPUNIT_TEST(goes_along_with_cleanups_of_all_storage);
    CPPUNIT_TEST(a_dry_run_changes_nothing);
    CPPUNIT_TEST(increments_hold_what_changed);
    CPPUNIT_TEST(keeps_what_is_needed);
    CPPUNIT_TEST(sends_the_archive_and_takes_it_in);
    CPPUNIT_TEST(refuses_hostile_archives);
    CPPUNIT_TEST(names_every_damage_and_restores_none);
    CPPUNIT_TEST(encrypts);
    CPPUNIT_TEST(lists_in_pages_and_survives_restarts);
    CPPUNIT_TEST(a_start_clears_what_a_kill_left);
    CPPUNIT_TEST_SUITE_END();

public:
    void makes_what_tar_opens() {
        put("storage/a", "1");
        put("feature_flags/dark", "true");
        upload("hello.txt", "hello world");
        const Answer made = send("POST", "/api/backups", "Prefer: wait=60\r\n", "");
        CPPUNIT_ASSERT_EQUAL(201, made.status);
        const std::string id = made.member("backup_id");
        CPPUNIT_ASSERT_EQUAL("/api/backups/" + id, made.header("location"));
        CPPUNIT_ASSERT_EQUAL("backups/" + id + ".tar.gz", made.member("file_path"));
        const Object whole = object_of(send("GET", "/api/backups/" + id).body);
        CPPUNIT_ASSERT_EQUAL(std::string("complete"), text(whole, "state"));
        CPPUNIT_ASSERT(!text(whole, "verified_at").empty());
        CPPUNIT_ASSERT(whole->getValue<bool>("integrity_verified"));
        CPPUNIT_ASSERT_EQUAL(made.member("checksum"), text(whole, "checksum"));

        const std::string archive = path("backups/" + id + ".tar.gz"), into = path("unpacked");
        fs::create_directories(into);
        CPPUNIT_ASSERT_EQUAL(0, run({"gzip", "-t", archive}).exit);
        CPPUNIT_ASSERT_EQUAL(0, run({"tar", "xzf", archive, "-C", into}).exit);
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\": 1\n}\n"), read_file(into + "/storage.json"));
        CPPUNIT_ASSERT(fs::exists(into + "/config/feature_flags.json.meta"));
        CPPUNIT_ASSERT_EQUAL(
            0, run({"jq", "-e", ".total_files > 4", into + "/backup_manifest.json"}).exit);
        // The sum over all files is what the manifest says.
        const std::string sum = fmt::format(
            "cd {} && jq -r '.files|sort_by(.path)[]|[.path,.size,.checksum]|@tsv' "
            "backup_manifest.json | while IFS=$(printf '\\t') read p s c; do "
            "test \"$(sha256sum < $p)\" = \"$c  -\" || exit 9; printf '%s\\0%s\\0%s\\n' $p $s $c; "
            "done | sha256sum | cut -c1-64 | tr -d '\\n'",
            into);
        CPPUNIT_ASSERT_EQUAL(text(whole, "checksum"), run({"sh", "-c", sum}).out);
        CPPUNIT_ASSERT_EQUAL(text(whole, "archive_sha256"),
                             run({"sha256sum", archive}).out.substr(0, 64));
    }

    void answers_at_once_and_tells_progress() {
        const Answer begun = send("POST", "/api/backups", "", R"({"note":"n"})");
        CPPUNIT_ASSERT_EQUAL(202, begun.status);
        const std::string url = begun.header("location");
        EventClient events(daemon_->port(), url + "/progress");
        std::string last;
        while (const auto event = events.next()) last = event->type;
        CPPUNIT_ASSERT_EQUAL(std::string("done"), last);
        CPPUNIT_ASSERT_EQUAL(std::string("n"), text(object_of(send("GET", url).body), "note"));
        const Answer short_of = send("POST", "/api/backups", "Prefer: wait=0\r\n", "{}");
        CPPUNIT_ASSERT_EQUAL(202, short_of.status);
    }

    void refuses_bad_requests() {
        const auto post = [this](const char* body) {
            return outcome("POST", "/api/backups", "", body);
        };
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json"), post("{"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field"), post("[]"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field"), post(R"({"typ":"full"})"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field"), post(R"({"type":"half"})"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field"), post(R"({"components":["../x"]})"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field"), post(R"({"components":["nope"]})"));
        CPPUNIT_ASSERT_EQUAL(std::string("409 no-parent"), post(R"({"type":"incremental"})"));
        CPPUNIT_ASSERT_EQUAL(std::string("409 no-key"), post(R"({"encrypt":true})"));
        for (const char* id : {"latest", "backup_2026-01-01_000000", "..", "backup_index.json"}) {
            const std::string url = fmt::format("/api/backups/{}", id);
            CPPUNIT_ASSERT_EQUAL(std::string("404 backup-not-found"), outcome("GET", url));
            CPPUNIT_ASSERT_EQUAL(std::string("404 backup-not-found"), outcome("DELETE", url));
            CPPUNIT_ASSERT_EQUAL(std::string("404 backup-not-found"),
                                 outcome("POST", url + "/restore"));
        }
        const std::string id = make();
        CPPUNIT_ASSERT_EQUAL(
            std::string("422 invalid-field"),
            outcome("POST", "/api/backups/" + id + "/restore", "", R"({"components":["nope"]})"));
    }

    void restores_all_of_it() {
        put("storage/a", "1");
        const std::string kept = upload("keep.txt", "kept");
        const std::string id = make();
        put("storage/a", "2");
        put("storage/b", "2");
        put("later/x", "1");
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/files/" + kept).status);
        const std::string fresh = upload("fresh.txt", "fresh");
        const std::string before = send("GET", "/api/kv/storage/a").header("larder-revision");
        CPPUNIT_ASSERT_EQUAL(200, restore(id, "").status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":1})"),
                             send("GET", "/api/kv/storage?all=true").body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/later/x").status);
        CPPUNIT_ASSERT_EQUAL(std::string("kept"), send("GET", "/api/files/" + kept).body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/files/" + fresh).status);
        // Another epoch, and no revision twice.
        const std::string after = send("GET", "/api/kv/storage/a").header("larder-revision");
        CPPUNIT_ASSERT(numbers(after).first > numbers(before).first);
        CPPUNIT_ASSERT(numbers(after).second > numbers(before).second);
        restart();
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":1})"),
                             send("GET", "/api/kv/storage?all=true").body);
        CPPUNIT_ASSERT_EQUAL(std::string("kept"), send("GET", "/api/files/" + kept).body);
        CPPUNIT_ASSERT(!fs::exists(path("backups/.restore")));
    }

    void restores_components() {
        put("storage/a", "1");
        put("feature_flags/dark", "true");
        put("notes/n", "1");
        const std::string id = make();
        put("storage/a", "2");
        put("feature_flags/dark", "false");
        put("notes/n", "2");
        const Answer done = restore(id, R"({"components":["storage.json","config/"]})");
        CPPUNIT_ASSERT_EQUAL(200, done.status);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/storage/a").body);
        CPPUNIT_ASSERT_EQUAL(std::string("true"), send("GET", "/api/kv/feature_flags/dark").body);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), send("GET", "/api/kv/notes/n").body);
    }

    void restores_what_the_daemon_keeps() {
        const char* const ann = R"({"name":"ann","password":"long enough","roles":["viewer"]})";
        CPPUNIT_ASSERT_EQUAL(201, send("POST", "/api/users", "", ann).status);
        put("storage/a", "1");
        const std::string id = make();
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/users/ann").status);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/users/ann").status);
        const Answer alone = restore(id, R"({"components":["users.json"]})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(alone.body, 200, alone.status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/users/ann").status);
        // Changes go on from there, and what was not there then stays: a daemon has users or not.
        CPPUNIT_ASSERT_EQUAL(200,
                             send("PATCH", "/api/users/ann", "", R"({"disabled":true})").status);
        CPPUNIT_ASSERT_EQUAL(200, restore(id, "").status);
        CPPUNIT_ASSERT(send("GET", "/api/users/ann").body.find(R"("disabled":false)") !=
                       std::string::npos);
        restart();
        CPPUNIT_ASSERT(send("GET", "/api/users/ann").body.find(R"("disabled":false)") !=
                       std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/storage/a").body);
        for (const char* name : {"jobs.json", "users.json"}) {
            CPPUNIT_ASSERT_EQUAL(0, run({"jq", "-e", ".", path(name)}).exit);
        }
    }

    void a_plugin_that_came_later_keeps_its_data() {
        put("storage/a", "1");
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/files/disable").status);
        const std::string id = make();
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/files/enable").status);
        const std::string later = upload("later.txt", "later");
        put("notes/x", "1");
        CPPUNIT_ASSERT_EQUAL(200, restore(id, "").status);
        CPPUNIT_ASSERT_EQUAL(std::string("later"), send("GET", "/api/files/" + later).body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/notes/x").status);
    }

    void goes_along_with_cleanups_of_all_storage() {
        const std::string one = make(), two = make();
        const std::string all = R"({"keep_backups":1,"dry_run":true})";
        CPPUNIT_ASSERT(send("POST", "/api/storage/cleanup", "", all).body.find(one) !=
                       std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/backups/" + one).status);
        CPPUNIT_ASSERT_EQUAL(
            200, send("POST", "/api/storage/cleanup", "", R"({"keep_backups":1})").status);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/backups/" + one).status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/backups/" + two).status);
    }

    void a_dry_run_changes_nothing() {
        put("storage/a", "1");
        const std::string id = make();
        put("storage/a", "2");
        put("later/x", "1");
        const Answer dry =
            send("POST", "/api/backups/" + id + "/restore", "", R"({"dry_run":true})");
        CPPUNIT_ASSERT_EQUAL(200, dry.status);
        const auto changes = object_of(dry.body)->getArray("changes");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, changes->size());
        CPPUNIT_ASSERT_EQUAL(std::string("storage.json"), text(changes->getObject(0), "path"));
        CPPUNIT_ASSERT_EQUAL(std::string("remove"), text(changes->getObject(1), "change"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), send("GET", "/api/kv/storage/a").body);
    }

    void increments_hold_what_changed() {
        put("storage/a", "1");
        const std::string gone = upload("gone.txt", "gone");
        const std::string stays = upload("stays.bin", std::string(200'000, 'x'));
        const std::string first = make();
        put("storage/a", "2");
        send("DELETE", "/api/files/" + gone);
        const std::string second = make(R"({"type":"incremental"})");
        const Object manifest = object_of(send("GET", "/api/backups/" + second).body);
        CPPUNIT_ASSERT_EQUAL(first, text(manifest, "parent"));
        CPPUNIT_ASSERT_EQUAL(std::string("files/" + gone),
                             manifest->getArray("deleted")->getElement<std::string>(0));
        const auto files = manifest->getArray("files");
        for (unsigned i = 0; i < files->size(); ++i) {
            CPPUNIT_ASSERT("files/" + stays != text(files->getObject(i), "path"));
        }
        put("storage/a", "3");
        const std::string third = make(R"({"type":"incremental"})");
        send("DELETE", "/api/files/" + stays);
        CPPUNIT_ASSERT_EQUAL(200, restore(second, "").status);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), send("GET", "/api/kv/storage/a").body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/files/" + gone).status);
        CPPUNIT_ASSERT_EQUAL(200'000, int(send("GET", "/api/files/" + stays).body.size()));
        CPPUNIT_ASSERT_EQUAL(std::string("409 has-dependents"),
                             outcome("DELETE", "/api/backups/" + second));
        // A parent that is lost is found out, and nothing is changed.
        fs::remove(path("backups/" + first + ".tar.gz"));
        CPPUNIT_ASSERT_EQUAL(std::string("archive-missing"), fault_of(third));
        CPPUNIT_ASSERT_EQUAL(
            std::string("409 not-whole"),
            outcome("POST", "/api/backups/" + third + "/restore", "Prefer: wait=60\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), send("GET", "/api/kv/storage/a").body);
    }

    void keeps_what_is_needed() {
        const std::string one = make(), two = make(), three = make(R"({"type":"incremental"})");
        const Answer dry =
            send("POST", "/api/backups/cleanup", "", R"({"keep_count":1,"dry_run":true})");
        const Object plan = object_of(dry.body);
        CPPUNIT_ASSERT_EQUAL(std::string("remove"),
                             text(find_item(plan, {{"backup_id", one}}), "action"));
        CPPUNIT_ASSERT_EQUAL(std::string("keep"),
                             text(find_item(plan, {{"backup_id", two}}), "action"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/backups/" + one).status);
        send("POST", "/api/backups/cleanup", "", R"({"keep_count":1})");
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/backups/" + one).status);
        CPPUNIT_ASSERT(!fs::exists(path("backups/" + one + ".tar.gz")));
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/backups/" + three).status);
        CPPUNIT_ASSERT_EQUAL(std::string("409 last-verified"),
                             outcome("DELETE", "/api/backups/" + two));
    }

    void sends_the_archive_and_takes_it_in() {
        put("storage/a", "1");
        const std::string id = make();
        const std::string url = "/api/backups/" + id + "/archive";
        const Answer whole = send("GET", url);
        CPPUNIT_ASSERT_EQUAL(std::string("application/gzip"), whole.header("content-type"));
        CPPUNIT_ASSERT_EQUAL(whole.body.substr(10, 5),
                             send("GET", url, "Range: bytes=10-14\r\n").body);
        CPPUNIT_ASSERT_EQUAL(416, send("GET", url, "Range: bytes=99999999-\r\n").status);
        CPPUNIT_ASSERT_EQUAL(
            304, send("GET", url, "If-None-Match: " + whole.header("etag") + "\r\n").status);
        CPPUNIT_ASSERT_EQUAL(std::string("409 exists"), import(whole.body));
        make();
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/backups/" + id).status);
        CPPUNIT_ASSERT_EQUAL(std::string("201"), import(whole.body));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/backups/" + id).status);
        put("storage/a", "2");
        CPPUNIT_ASSERT_EQUAL(200, restore(id, "").status);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/storage/a").body);
    }

    void refuses_hostile_archives() {
        const std::string at = path("hostile");
        const auto made_by = [&](const std::string& script) {
            fs::remove_all(at);
            fs::create_directories(at);
            CPPUNIT_ASSERT_EQUAL(
                0, run({"sh", "-c", fmt::format("cd {} && echo x > x && {}", at, script)}).exit);
            return read_file(at + "/a.tgz");
        };
        const std::vector<std::pair<std::string, std::string>> archives = {
            {"tar czf a.tgz -P --transform 's|^x|../../x|' x", "hostile-path"},
            {"tar czf a.tgz -P --transform 's|^x|/tmp/x|' x", "hostile-path"},
            {"ln -s /etc/passwd l && tar czf a.tgz l", "not-a-file"},
            {"ln x h && tar czf a.tgz x h", "not-a-file"},
            {"mkfifo f && tar czf a.tgz f", "not-a-file"},
            {"tar czf a.tgz x", "manifest-missing"},
            {"echo '{}' > backup_manifest.json && tar czf a.tgz backup_manifest.json", "manifest"},
            {"cp x a.tgz", "unreadable"},
        };
        for (const auto& [script, kind] : archives) {
            const Answer refused = send_archive(made_by(script));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(script, std::string("invalid-archive"),
                                         refused.member("code"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(script, kind, refused.member("reason"));
        }
        CPPUNIT_ASSERT(fs::is_empty(path("backups/.staging")));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"),
                             send("GET", "/api/backups").body);
    }

    void names_every_damage_and_restores_none() {
        put("storage/a", "1");
        upload("big.bin", std::string(300'000, 'b'));
        const std::string id = make();
        put("storage/a", "2");
        const std::string archive = path("backups/" + id + ".tar.gz");
        const std::string whole = read_file(archive);
        const auto judge = [&](const std::string& bytes, const std::string& what) {
            write_file(archive, bytes);
            CPPUNIT_ASSERT_MESSAGE(what, fault_of(id) != "none");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                what, std::string("409 not-whole"),
                outcome("POST", "/api/backups/" + id + "/restore", "Prefer: wait=60\r\n"));
            CPPUNIT_ASSERT_EQUAL(std::string("2"), send("GET", "/api/kv/storage/a").body);
        };
        std::mt19937 random(42);
        for (std::size_t i = 0; i < 200; ++i) {
            std::string bytes = whole;
            const std::size_t at = random() % whole.size();
            bytes[at] = static_cast<char>(bytes[at] ^ (1U << random() % 8));
            judge(bytes, fmt::format("byte {}", at));
        }
        judge(whole.substr(0, whole.size() / 2), "cut");
        judge(whole + "x", "longer");
        judge("", "empty");
        judge(read_file(path("backups/" + make() + ".tar.gz")), "another one's");
        CPPUNIT_ASSERT_EQUAL(std::string("damaged"),
                             text(object_of(send("GET", "/api/backups/" + id).body), "state"));
        write_file(archive, whole);
        CPPUNIT_ASSERT_EQUAL(std::string("none"), fault_of(id));
        CPPUNIT_ASSERT_EQUAL(200, restore(id, "").status);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/storage/a").body);
    }

    void encrypts() {
        const std::string key = "a passphrase\n";
        write_file(path("key"), key);
        environment_ = {{"LARDER_BACKUP_KEY_FILE", path("key")}};
        restart();
        put("storage/secret", "\"hidden\"");
        const std::string id = make(R"({"encrypt":true})");
        const std::string archive = path("backups/" + id + ".tar.gz.enc");
        const std::string sealed = read_file(archive);
        CPPUNIT_ASSERT_EQUAL(std::string("none"), fault_of(id));
        put("storage/secret", "2");
        CPPUNIT_ASSERT_EQUAL(200, restore(id, "").status);
        CPPUNIT_ASSERT_EQUAL(std::string("\"hidden\""), send("GET", "/api/kv/storage/secret").body);
        for (const std::size_t at : {std::size_t{3}, std::size_t{20}, std::size_t{60},
                                     sealed.size() / 2, sealed.size() - 1}) {
            std::string bytes = sealed;
            bytes[at] = static_cast<char>(bytes[at] ^ 1);
            write_file(archive, bytes);
            CPPUNIT_ASSERT_MESSAGE(std::to_string(at), fault_of(id) != "none");
        }
        write_file(archive, sealed.substr(0, sealed.size() - 20));
        CPPUNIT_ASSERT(fault_of(id) != "none");
        write_file(archive, sealed);
        write_file(path("key"), "another one");
        const auto is_raised = [&](const char* kind) {
            return send("GET", "/api/alerts?state=raised").body.find(kind + id) !=
                   std::string::npos;
        };
        CPPUNIT_ASSERT(is_raised("damaged-"));
        CPPUNIT_ASSERT_EQUAL(std::string("wrong-key"), fault_of(id));
        CPPUNIT_ASSERT_EQUAL(
            std::string("409 not-whole"),
            outcome("POST", "/api/backups/" + id + "/restore", "Prefer: wait=60\r\n"));
        CPPUNIT_ASSERT(is_raised("damaged-") &&
                       is_raised("unreadable-"));  // nobody saw it whole since
        write_file(path("key"), key);
        CPPUNIT_ASSERT_EQUAL(std::string("none"), fault_of(id));
        CPPUNIT_ASSERT(!is_raised("damaged-") && !is_raised("unreadable-"));
        write_file(path("key"), "another one");  // nor is it damage that it cannot be read
        CPPUNIT_ASSERT_EQUAL(std::string("wrong-key"), fault_of(id));
        CPPUNIT_ASSERT(!is_raised("damaged-") && is_raised("unreadable-"));
    }

    void lists_in_pages_and_survives_restarts() {
        const std::string one = make(), two = make();
        const Object page = object_of(send("GET", "/api/backups?limit=1").body);
        const std::string next = text(page, "next");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, page->getArray("items")->size());
        const Object rest = object_of(send("GET", "/api/backups?limit=1&cursor=" + next).body);
        CPPUNIT_ASSERT(find_item(rest, {{"backup_id", one}}) != nullptr);
        CPPUNIT_ASSERT(rest->isNull("next"));
        const std::string before = send("GET", "/api/backups").body;
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL(before, send("GET", "/api/backups").body);
        const std::string index = read_file(path("backups/backup_index.json"));
        CPPUNIT_ASSERT(index.find("\"total_backups\": 2") != std::string::npos ||
                       index.find("\"total_backups\":2") != std::string::npos);
        const Object usage = object_of(send("GET", "/api/storage/usage").body);
        CPPUNIT_ASSERT_EQUAL(2, usage->getObject("backups")->getValue<int>("count"));
        CPPUNIT_ASSERT_EQUAL(two,
                             text(object_of(send("GET", "/api/backups/latest").body), "backup_id"));
    }

    void a_start_clears_what_a_kill_left() {
        const std::string id = make();
        daemon_->kill();
        const std::string staging = path("backups/.staging/"), folder = path("backups/");
        const std::string orphan = "backup_2020-01-01_000000.tar.gz";
        write_file(staging + "half.new", "half");
        write_file(staging + "linked.new", "whole");
        fs::create_hard_link(staging + "linked.new", folder + orphan);
        fs::create_hard_link(folder + id + ".tar.gz", staging + "listed.new");
        fs::create_directories(folder + ".restore/1");
        write_file(folder + "backup_2020-01-01_000001.tar.gz", "an admin's");
        start();
        CPPUNIT_ASSERT(fs::is_empty(staging));
        CPPUNIT_ASSERT(!fs::exists(folder + orphan));
        CPPUNIT_ASSERT(eventually([&] { return !fs::exists(folder + ".restore"); }));
        CPPUNIT_ASSERT(fs::exists(folder + "backup_2020-01-01_000001.tar.gz"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), fault_of(id));
    }

private:
    std::string path(const std::string& inner) const { return folder_->path() + "/" + inner; }
    static std::string text(const Object& object, const std::string& name) {
        return object->optValue<std::string>(name, "");
    }
    void put(const std::string& key, const std::string& value) {
        CPPUNIT_ASSERT(send("PUT", "/api/kv/" + key, "", value).status < 300);
    }
    std::string upload(const std::string& name, const std::string& bytes) {
        return send("PUT", "/api/files/" + name, "", bytes).member("filename");
    }
    std::string make(const std::string& body = "") {
        const Answer made = send("POST", "/api/backups", "Prefer: wait=60\r\n", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.member("backup_id");
    }
    Answer restore(const std::string& id, const std::string& body) {
        return send("POST", "/api/backups/" + id + "/restore", "Prefer: wait=60\r\n", body);
    }
    // The first kind that verify finds; "none" where all is well.
    std::string fault_of(const std::string& id) {
        const Answer verified = send("POST", "/api/backups/" + id + "/verify");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(verified.body, 200, verified.status);
        const Object found = object_of(verified.body);
        const auto faults = found->getArray("faults");
        CPPUNIT_ASSERT_EQUAL(faults->empty(), found->getValue<bool>("ok"));
        return faults->empty() ? "none" : text(faults->getObject(0), "kind");
    }
    Answer send_archive(const std::string& bytes) {
        return send("POST", "/api/backups/import", "Content-Type: application/gzip\r\n", bytes);
    }
    std::string import(const std::string& bytes) {
        return outcome("POST", "/api/backups/import", "Content-Type: application/gzip\r\n", bytes);
    }
    static std::pair<long, long> numbers(const std::string& revision) {
        const std::size_t dash = revision.find('-');
        return {std::stol(revision.substr(0, dash)), std::stol(revision.substr(dash + 1))};
    }
};

LARDER_TEST_SUITE(BackupTest);

}  // namespace
}  // namespace larder::test
