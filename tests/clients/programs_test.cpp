// programs as a client sees it, against a real larderd: uploads, records, files, runs, streams,
// schedules, what is left after restarts and kills. What programs may not do:
// programs_sandbox_test.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>
#include <vector>

#include "support/event_client.hpp"
#include "support/eventually.hpp"
#include "support/programs_fixture.hpp"
#include "support/zip_maker.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;
namespace fs = std::filesystem;

class ProgramsTest : public ProgramsFixture {
    CPPUNIT_TEST_SUITE(ProgramsTest);
    CPPUNIT_TEST(keeps_scripts);
    CPPUNIT_TEST(keeps_projects);
    CPPUNIT_TEST(refuses_uploads_and_leaves_nothing);
    CPPUNIT_TEST(lists_edits_and_deletes);
    CPPUNIT_TEST(holds_the_quota);
    CPPUNIT_TEST(runs_a_script);
    CPPUNIT_TEST(takes_arguments_input_and_environment);
    CPPUNIT_TEST(refuses_bad_requests_for_runs);
    CPPUNIT_TEST(runs_projects);
    CPPUNIT_TEST(tells_how_a_run_ended);
    CPPUNIT_TEST(runs_without_waiting);
    CPPUNIT_TEST(streams_output);
    CPPUNIT_TEST(stops_runs);
    CPPUNIT_TEST(has_ended_for_all_at_once);
    CPPUNIT_TEST(begins_a_run_once_a_key);
    CPPUNIT_TEST(queues_and_refuses_what_is_too_much);
    CPPUNIT_TEST(runs_by_schedule);
    CPPUNIT_TEST(keeps_a_history);
    CPPUNIT_TEST(survives_restarts_and_kills);
    CPPUNIT_TEST(takes_the_origins_programs);
    CPPUNIT_TEST(works_without_metrics);
    CPPUNIT_TEST_SUITE_END();

    std::string refused(const Answer& answer) const {
        return fmt::format("{} {}", answer.status, answer.member("code"));
    }
    // Of folders and files of programs, but the databases.
    std::set<std::string> stored() const {
        std::set<std::string> names;
        const fs::path root = *folder_ / "programs";
        for (const auto& entry : fs::recursive_directory_iterator(root)) {
            const std::string name = fs::relative(entry.path(), root).string();
            if (!name.starts_with("db") && !name.starts_with("programs.json")) names.insert(name);
        }
        return names;
    }
    static std::string project() {
        return ZipMaker()
            .add("main.py", "import helper\nhelper.say()\n")
            .add("helper.py",
                 "import os\ndef say():\n    with open('data/runs', 'a') as f: f.write('x')\n"
                 "    print('hello from', os.getcwd(), len(open('data/runs').read()))\n")
            .add("data/seed.txt", "1")
            .archive();
    }

public:
    void keeps_scripts() {
        const Answer one = try_upload("my script.py", "print(1)\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(one.body, 201, one.status);
        const Object record = object_of(one.body);
        const std::string id = text(record, "program_id");
        CPPUNIT_ASSERT_MESSAGE(id, id.starts_with("program_"));
        CPPUNIT_ASSERT_EQUAL("single"s, text(record, "type"));
        CPPUNIT_ASSERT_EQUAL("my script.py"s, text(record, "filename"));
        CPPUNIT_ASSERT_EQUAL("python"s, text(record, "language"));
        CPPUNIT_ASSERT_EQUAL("9"s, text(record, "size"));
        CPPUNIT_ASSERT_EQUAL("0"s, text(record, "execution_count"));
        CPPUNIT_ASSERT(!record->has("project_id"));
        CPPUNIT_ASSERT_EQUAL(one.body, send("GET", "/api/programs/" + id).body);
        CPPUNIT_ASSERT_EQUAL("print(1)\n"s,
                             send("GET", "/api/programs/" + id + "/files/my%20script.py").body);
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s,
                             outcome("GET", "/api/programs/" + id + "/files/.metadata.json"));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s,
                             outcome("GET", "/api/programs/" + id + "/files/..%2Fprograms.json"));
        // Two in one second have two ids.
        CPPUNIT_ASSERT(upload("a.sh", ":") != upload("a.sh", ":"));
        const std::string odd = upload("-c.js", "1");
        CPPUNIT_ASSERT_EQUAL("c.js"s, send("GET", "/api/programs/" + odd).member("filename"));
        const Object sums = object_of(send("GET", "/api/programs/storage").body);
        CPPUNIT_ASSERT_EQUAL("4"s, text(sums, "total_programs"));
        CPPUNIT_ASSERT_EQUAL("0"s, text(sums, "total_projects"));
        CPPUNIT_ASSERT_EQUAL("12"s, text(sums, "total_size"));
        restart();
        CPPUNIT_ASSERT_EQUAL(one.body, send("GET", "/api/programs/" + id).body);
        const Object file = object_of(read_file(*folder_ / "programs/programs.json"));
        CPPUNIT_ASSERT_EQUAL("4"s, text(file, "total_programs"));
        CPPUNIT_ASSERT_EQUAL("0"s, text(file, "total_projects"));
        CPPUNIT_ASSERT_EQUAL(id, text(file->getObject("programs")->getObject(id), "program_id"));
    }

    void keeps_projects() {
        const Answer answer = try_upload("demo.zip", project(), "My demo");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        const Object record = object_of(answer.body);
        const std::string id = text(record, "program_id");
        CPPUNIT_ASSERT_MESSAGE(id, id.starts_with("project_"));
        CPPUNIT_ASSERT_EQUAL(id, text(record, "project_id"));
        CPPUNIT_ASSERT_EQUAL("project"s, text(record, "type"));
        CPPUNIT_ASSERT_EQUAL("My demo"s, text(record, "filename"));
        CPPUNIT_ASSERT_EQUAL("demo.zip"s, text(record, "original_name"));
        CPPUNIT_ASSERT_EQUAL("main.py"s, text(record, "main_file"));
        CPPUNIT_ASSERT_EQUAL("3"s, text(record, "file_count"));
        CPPUNIT_ASSERT_EQUAL("3"s, std::to_string(record->getArray("files")->size()));
        const Object tree = object_of(send("GET", "/api/programs/" + id + "/files").body);
        CPPUNIT_ASSERT(find_item(tree, {{"path", "data/seed.txt"}, {"type", "file"}}));
        CPPUNIT_ASSERT(find_item(tree, {{"path", "data"}, {"type", "directory"}}));
        const Object page = object_of(send("GET", "/api/programs/" + id + "/files?limit=1").body);
        CPPUNIT_ASSERT_EQUAL("data"s, text(page->getArray("items")->getObject(0), "path"));
        CPPUNIT_ASSERT(!page->isNull("next"));
        CPPUNIT_ASSERT_EQUAL("1"s,
                             send("GET", "/api/programs/" + id + "/files/data/seed.txt").body);
        const Answer named =
            try_upload("x.zip", ZipMaker()
                                    .add("main.py", "")
                                    .add("other.js", "")
                                    .add("larder.json", R"({"main_file":"other.js"})")
                                    .archive());
        CPPUNIT_ASSERT_EQUAL("other.js"s, named.member("main_file"));
        CPPUNIT_ASSERT_EQUAL("x"s, named.member("filename"));
        const Answer none = try_upload("n.zip", ZipMaker().add("README", "").archive());
        CPPUNIT_ASSERT_EQUAL(201, none.status);
        CPPUNIT_ASSERT_EQUAL("409 no-main-file"s, refused(try_execute(none.member("program_id"))));
    }

    void refuses_uploads_and_leaves_nothing() {
        const auto before = stored();
        const auto expect = [&](const std::string& wanted, const Answer& answer) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, wanted, refused(answer));
            CPPUNIT_ASSERT(stored() == before);
        };
        expect("415 unsupported-program", try_upload("a.exe", "MZ"));
        expect("415 unsupported-program", try_upload("noextension", ""));
        for (const std::string& archive :
             {"hello"s, ""s, ZipMaker().archive(), ZipMaker().add("../x.py", "1").archive(),
              ZipMaker().add("a", std::string(30U << 20U, '\0')).archive(),
              ZipMaker().add("a.py", "1").add("larder.json", R"({"main_file":"b.py"})").archive(),
              project().substr(0, 200)}) {
            const Answer answer = try_upload("a.zip", archive);
            expect("422 invalid-archive", answer);
            CPPUNIT_ASSERT(!answer.member("reason").empty());
        }
        // Found out only while it is unpacked, when some files are there already.
        ZipMember lie;
        lie.name = "z.py";
        lie.bytes = std::string(300'000, 'z');
        lie.said_size = 10;
        expect("422 invalid-archive",
               try_upload("a.zip", ZipMaker().add("a/b.py", "1").add(lie).archive()));
        const auto post = [&](const std::string& body) {
            return send("POST", "/api/programs",
                        "Content-Type: multipart/form-data; boundary=XX\r\n", body);
        };
        expect("400 no-file", post("--XX--\r\n"));
        expect("400 invalid-multipart", post("nothing"));
        const std::string one = form("a.py", "1");
        expect("400 several-files", post(one.substr(0, one.size() - 8) + "\r\n" + one));
        expect("415 unsupported-media-type", send("POST", "/api/programs", {}, "{}"));
        CPPUNIT_ASSERT_EQUAL(
            "0"s, text(object_of(send("GET", "/api/programs/storage").body), "total_size"));
    }

    void lists_edits_and_deletes() {
        const std::string a = upload("a.py", "1"), b = upload("b.sh", ":");
        const Object page = object_of(send("GET", "/api/programs?limit=1").body);
        const std::string cursor = text(page, "next");
        const Object rest = object_of(send("GET", "/api/programs?cursor=" + cursor).body);
        CPPUNIT_ASSERT_EQUAL(b, text(rest->getArray("items")->getObject(0), "program_id"));
        CPPUNIT_ASSERT(rest->isNull("next"));
        const Answer renamed =
            send("PATCH", "/api/programs/" + a, {}, R"({"original_name":"new.py","network":true})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(renamed.body, 200, renamed.status);
        CPPUNIT_ASSERT_EQUAL("new.py"s, renamed.member("original_name"));
        CPPUNIT_ASSERT_EQUAL("true"s, text(object_of(renamed.body), "network"));
        const auto patch = [&](const std::string& body) {
            return outcome("PATCH", "/api/programs/" + a, {}, body);
        };
        CPPUNIT_ASSERT_EQUAL("422 invalid-field"s, patch(R"({"main_file":"none.py"})"));
        CPPUNIT_ASSERT_EQUAL("422 invalid-field"s, patch(R"({"main_file":"../a.py"})"));
        CPPUNIT_ASSERT_EQUAL("422 invalid-field"s, patch(R"({"size":1})"));
        CPPUNIT_ASSERT_EQUAL("400 invalid-json"s, patch("{"));
        CPPUNIT_ASSERT_EQUAL("404 program-not-found"s,
                             outcome("PATCH", "/api/programs/x", {}, "{}"));
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", "/api/programs/" + a));
        CPPUNIT_ASSERT_EQUAL("404 program-not-found"s, outcome("GET", "/api/programs/" + a));
        CPPUNIT_ASSERT_EQUAL("404 program-not-found"s, outcome("DELETE", "/api/programs/" + a));
        CPPUNIT_ASSERT(!fs::exists(fs::path(folder_->path()) / "programs" / a));
        CPPUNIT_ASSERT(fs::is_empty(*folder_ / "programs/.trash"));
    }

    void holds_the_quota() {
        environment_.emplace_back("LARDER_PROGRAMS_QUOTA", "1MiB");
        restart();
        const std::string id = upload("a.py", std::string(1'000'000, '#'));
        const Answer more = try_upload("b.py", std::string(100'000, '#'));
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s, refused(more));
        CPPUNIT_ASSERT(more.body.find("\"available\":") != std::string::npos);
        ZipMember big;
        big.name = "a.txt";
        big.bytes = std::string(200'000, 'a');
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s,
                             refused(try_upload("c.zip", ZipMaker().add(big).archive())));
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", "/api/programs/" + id));
        upload("b.py", std::string(100'000, '#'));
    }

    void runs_a_script() {
        if (skips()) return;
        const std::string id = upload("a.py",
                                      "import sys\nprint('out')\nprint('err',"
                                      "file=sys.stderr)\n");
        const Object run = execute(id);
        CPPUNIT_ASSERT_EQUAL("succeeded 0 null null"s, story(run));
        CPPUNIT_ASSERT_EQUAL("out\n"s, text(run, "stdout"));
        CPPUNIT_ASSERT_EQUAL("err\n"s, text(run, "stderr"));
        CPPUNIT_ASSERT_EQUAL("4"s, text(run, "stdout_bytes"));
        CPPUNIT_ASSERT_EQUAL("false"s, text(run, "truncated"));
        CPPUNIT_ASSERT(run->getValue<double>("execution_time") > 0);
        CPPUNIT_ASSERT(run->getValue<double>("cpu_time") > 0);
        CPPUNIT_ASSERT(run->getValue<long>("max_rss") > 1'000'000);
        const Object again = execution(run->getValue<long>("execution_id"));
        for (const char* member : {"stdout", "stderr", "state", "execution_time", "max_rss"}) {
            CPPUNIT_ASSERT_EQUAL(text(run, member), text(again, member));
        }
        CPPUNIT_ASSERT_EQUAL("failed 3 null null"s, story(this->run("e.sh", "exit 3")));
        const Object record = object_of(send("GET", "/api/programs/" + id).body);
        CPPUNIT_ASSERT_EQUAL("1"s, text(record, "execution_count"));
        CPPUNIT_ASSERT_EQUAL("1"s, text(record, "success_count"));
        CPPUNIT_ASSERT(!record->isNull("last_executed"));
        if (!is_available("javascript")) return;
        CPPUNIT_ASSERT_EQUAL("3\n"s, text(this->run("a.js", "console.log(1+2)"), "stdout"));
    }

    void takes_arguments_input_and_environment() {
        if (skips()) return;
        const std::string id = upload("a.py",
                                      "import sys, os, json\n"
                                      "print(json.dumps([sys.argv[1:], sys.stdin.read(), "
                                      "os.environ.get('A'), os.environ.get('LARDER_TEST')]))\n");
        const auto said = [&](const std::string& body) {
            return text(execute(id, body), "stdout");
        };
        CPPUNIT_ASSERT_EQUAL("[[], \"\", null, null]\n"s, said(""));
        CPPUNIT_ASSERT_EQUAL("[[\"a b\", \"; rm -rf /\", \"$HOME\"], \"x\\ny\", \"1 2\", null]\n"s,
                             said(R"({"args":["a b","; rm -rf /","$HOME"],"stdin":"x\ny",)"
                                  R"("env":{"A":"1 2"}})"));
        CPPUNIT_ASSERT_EQUAL("[[\"-c\", \"--help\", \"b c\", \"*\"], \"\", null, null]\n"s,
                             said(R"({"args":"-c --help 'b c' *"})"));
        // More than a pipe holds.
        const std::string big(300'000, 'x');
        const Object run = this->run("n.py", "import sys\nprint(len(sys.stdin.read()))",
                                     fmt::format(R"({{"stdin":"{}"}})", big));
        CPPUNIT_ASSERT_EQUAL("300000\n"s, text(run, "stdout"));
    }

    void refuses_bad_requests_for_runs() {
        if (skips()) return;
        const std::string id = upload("a.sh", ":");
        const auto expect = [&](const std::string& pointer, const std::string& body) {
            const Answer answer = try_execute(id, body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, "422 invalid-field"s, refused(answer));
            CPPUNIT_ASSERT_EQUAL(pointer, answer.member("pointer"));
        };
        expect("/timeout", R"({"timeout":3601})");
        expect("/timeout", R"({"timeout":0})");
        expect("/timeout", R"({"timeout":"1"})");
        expect("/args", R"({"args":"'open"})");
        expect("/args", R"({"args":1})");
        expect("/args/1", R"({"args":["a",1]})");
        expect("/args/0", R"({"args":["a\u0000b"]})");
        expect("/stdin", R"({"stdin":1})");
        expect("/env/LD_PRELOAD", R"({"env":{"LD_PRELOAD":"/app/x.so"}})");
        expect("/env/A B", R"({"env":{"A B":"1"}})");
        expect("/env/A", R"({"env":{"A":1}})");
        expect("/shell", R"({"shell":true})");
        CPPUNIT_ASSERT_EQUAL("400 invalid-json"s, refused(try_execute(id, "{")));
        CPPUNIT_ASSERT_EQUAL("404 program-not-found"s, refused(try_execute("program_1")));
        CPPUNIT_ASSERT_EQUAL("415 unsupported-media-type"s,
                             refused(try_execute(id, "x", "Content-Type: text/plain\r\n")));
        const Object none = object_of(send("GET", "/api/programs/" + id + "/executions").body);
        CPPUNIT_ASSERT_EQUAL("0"s, std::to_string(none->getArray("items")->size()));
    }

    void runs_projects() {
        if (skips()) return;
        const std::string id = try_upload("demo.zip", project()).member("program_id");
        CPPUNIT_ASSERT_EQUAL("hello from /app 1\n"s, text(execute(id), "stdout"));
        // Its data/ is kept between runs, and shown.
        CPPUNIT_ASSERT_EQUAL("hello from /app 2\n"s, text(execute(id), "stdout"));
        CPPUNIT_ASSERT_EQUAL("xx"s, send("GET", "/api/programs/" + id + "/files/data/runs").body);
        CPPUNIT_ASSERT_EQUAL(
            200, send("PATCH", "/api/programs/" + id, {}, R"({"main_file":"helper.py"})").status);
        CPPUNIT_ASSERT_EQUAL(""s, text(execute(id), "stdout"));
        if (!is_available("javascript")) return;
        const std::string node =
            try_upload("n.zip", ZipMaker()
                                    .add("app/index.js", "console.log(require('./lib/a').f(20))")
                                    .add("app/lib/a.js", "exports.f = x => x * 2 + 2")
                                    .archive())
                .member("program_id");
        CPPUNIT_ASSERT_EQUAL("42\n"s, text(execute(node), "stdout"));
    }

    void tells_how_a_run_ended() {
        if (skips()) return;
        CPPUNIT_ASSERT_EQUAL("failed null SIGTERM null"s, story(run("a.sh", "kill -TERM $$")));
        CPPUNIT_ASSERT_EQUAL("failed null SIGKILL null"s, story(run("b.sh", "kill -KILL $$")));
        const Object slow =
            run("c.sh", "echo before; while :; do sleep 1; done", R"({"timeout":0.5})");
        CPPUNIT_ASSERT_EQUAL("timed_out null SIGKILL wall"s, story(slow));
        CPPUNIT_ASSERT_EQUAL("true"s, text(slow, "timed_out"));
        CPPUNIT_ASSERT_EQUAL("before\n"s, text(slow, "stdout"));
        const Object raised = run("d.py", "raise ValueError('x')");
        CPPUNIT_ASSERT_EQUAL("failed 1 null null"s, story(raised));
        CPPUNIT_ASSERT(text(raised, "stderr").find("ValueError") != std::string::npos);
        const Object bytes = run("e.sh", "printf 'a\\377b\\000c\\303\\274'");
        CPPUNIT_ASSERT_EQUAL(std::string("a\xEF\xBF\xBD"
                                         "b\0c\xC3\xBC",
                                         9),
                             text(bytes, "stdout"));
        CPPUNIT_ASSERT_EQUAL("7"s, text(bytes, "stdout_bytes"));
        // Printing much is no crime: both ends are kept, all is counted.
        const Object flood = run("f.py",
                                 "import sys\nsys.stdout.write('first')\nfor i in range(100):"
                                 " sys.stdout.write('x'*1000000)\nsys.stdout.write('last')\n");
        CPPUNIT_ASSERT_EQUAL("succeeded 0 null output"s, story(flood));
        CPPUNIT_ASSERT_EQUAL("true"s, text(flood, "truncated"));
        CPPUNIT_ASSERT_EQUAL("100000009"s, text(flood, "stdout_bytes"));
        const std::string kept = text(flood, "stdout");
        CPPUNIT_ASSERT(kept.starts_with("firstx") && kept.ends_with("xlast"));
        CPPUNIT_ASSERT(kept.size() < 600'000);
        CPPUNIT_ASSERT(kept.find("[... 99475721 bytes left out ...]") != std::string::npos);
    }

    void runs_without_waiting() {
        if (skips()) return;
        const std::string id =
            upload("a.sh", "echo begun; read x < data/never 2>/dev/null; sleep 0.2");
        const long eid = begin(id);
        CPPUNIT_ASSERT(reaches(eid, "succeeded"));
        CPPUNIT_ASSERT_EQUAL("begun\n"s, text(execution(eid), "stdout"));
        CPPUNIT_ASSERT_EQUAL("404 execution-not-found"s, outcome("GET", "/api/executions/99999"));
        CPPUNIT_ASSERT_EQUAL("404 execution-not-found"s, outcome("GET", "/api/executions/x"));
    }

    void streams_output() {
        if (skips()) return;
        const std::string id =
            upload("a.sh",
                   "echo one; echo two >&2; sleep 0.3; printf '\\303'; sleep 0.1; printf "
                   "'\\274\\n'; exit 4");
        const long eid = begin(id);
        for (int round = 0; round < 2; ++round) {  // as it runs, and again when it is over
            EventClient stream(daemon_->port(), fmt::format("/api/executions/{}/stream", eid));
            std::string out, err;
            Object result;
            while (const auto event = stream.next()) {
                const Object data = object_of(event->data);
                if (event->type == "stdout") out += text(data, "text");
                if (event->type == "stderr") err += text(data, "text");
                if (event->type == "exit") result = data;
            }
            CPPUNIT_ASSERT_EQUAL("one\nü\n"s, out);
            CPPUNIT_ASSERT_EQUAL("two\n"s, err);
            CPPUNIT_ASSERT(!result.isNull());
            CPPUNIT_ASSERT_EQUAL("failed 4 null null"s, story(result));
        }
        CPPUNIT_ASSERT_EQUAL("404 execution-not-found"s,
                             outcome("GET", "/api/executions/99999/stream"));
    }

    void stops_runs() {
        if (skips()) return;
        const std::string id = upload("a.sh",
                                      "trap '' TERM INT HUP; setsid sleep 1000 & "
                                      "echo ready; while :; do sleep 1; done");
        const long eid = begin(id);
        CPPUNIT_ASSERT(eventually([&] { return text(execution(eid), "stdout") == "ready\n"; }));
        CPPUNIT_ASSERT_EQUAL("202"s, outcome("DELETE", fmt::format("/api/executions/{}", eid)));
        CPPUNIT_ASSERT(reaches(eid, "cancelled"));
        CPPUNIT_ASSERT_EQUAL("ready\n"s, text(execution(eid), "stdout"));
        CPPUNIT_ASSERT_EQUAL("409 execution-ended"s,
                             outcome("DELETE", fmt::format("/api/executions/{}", eid)));
        CPPUNIT_ASSERT_EQUAL("404 execution-not-found"s,
                             outcome("DELETE", "/api/executions/99999"));
        // A program that is deleted runs no more; what it did stays on record.
        const long last = begin(id);
        CPPUNIT_ASSERT(eventually([&] { return text(execution(last), "stdout") == "ready\n"; }));
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", "/api/programs/" + id));
        CPPUNIT_ASSERT(reaches(last, "cancelled"));
    }

    void has_ended_for_all_at_once() {
        if (skips()) return;
        const std::string id = upload("a.sh", ":");
        for (int round = 0; round < 100; ++round) {  // who is told of the end can stop it no more
            const std::string eid = text(execute(id), "execution_id");
            CPPUNIT_ASSERT_EQUAL("409 execution-ended"s,
                                 outcome("DELETE", "/api/executions/" + eid));
        }
    }

    void begins_a_run_once_a_key() {
        if (skips()) return;
        const std::string id = upload("a.sh", "sleep 0.2; echo $RANDOM$RANDOM$RANDOM");
        std::vector<std::thread> clients;
        std::vector<Answer> answers(4);
        for (Answer& answer : answers) {
            clients.emplace_back([&] { answer = try_execute(id, "{}", "Idempotency-Key: k\r\n"); });
        }
        for (std::thread& client : clients) client.join();
        for (const Answer& answer : answers) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
            CPPUNIT_ASSERT_EQUAL(answers[0].body, answer.body);
        }
        CPPUNIT_ASSERT_EQUAL(answers[0].body, try_execute(id, "{}", "Idempotency-Key: k\r\n").body);
        restart();
        CPPUNIT_ASSERT_EQUAL(answers[0].body, try_execute(id, "{}", "Idempotency-Key: k\r\n").body);
        CPPUNIT_ASSERT_EQUAL(
            "422 idempotency-mismatch"s,
            refused(try_execute(id, R"({"args":["x"]})", "Idempotency-Key: k\r\n")));
        const Object other = object_of(try_execute(id, "{}", "Idempotency-Key: j\r\n").body);
        CPPUNIT_ASSERT(text(other, "execution_id") !=
                       text(object_of(answers[0].body), "execution_id"));
        const Object all = object_of(send("GET", "/api/programs/" + id + "/executions").body);
        CPPUNIT_ASSERT_EQUAL("2"s, std::to_string(all->getArray("items")->size()));
    }

    void queues_and_refuses_what_is_too_much() {
        if (skips()) return;
        environment_.emplace_back("LARDER_PROGRAMS_CONCURRENCY", "1");
        environment_.emplace_back("LARDER_PROGRAMS_QUEUE", "2");
        restart();
        const std::string slow = upload("a.sh", "while [ ! -e /tmp/never ]; do sleep 0.05; done");
        const std::string quick = upload("b.sh", "echo quick");
        const long first = begin(slow);
        CPPUNIT_ASSERT(reaches(first, "running"));
        const long second = begin(quick), third = begin(quick);
        CPPUNIT_ASSERT_EQUAL("queued"s, text(execution(second), "state"));
        const Answer more = try_execute(quick);
        CPPUNIT_ASSERT_EQUAL("429 queue-full"s, refused(more));
        CPPUNIT_ASSERT(!more.header("Retry-After").empty());
        CPPUNIT_ASSERT_EQUAL("202"s, outcome("DELETE", fmt::format("/api/executions/{}", third)));
        CPPUNIT_ASSERT(reaches(third, "cancelled"));
        const long fourth = begin(quick);
        CPPUNIT_ASSERT_EQUAL("202"s, outcome("DELETE", fmt::format("/api/executions/{}", first)));
        CPPUNIT_ASSERT(reaches(second, "succeeded"));
        CPPUNIT_ASSERT(reaches(fourth, "succeeded"));
    }

    void runs_by_schedule() {
        if (skips()) return;
        const std::string id = upload("a.sh", "echo by schedule $1");
        const std::string target = "/api/programs/" + id + "/schedule";
        CPPUNIT_ASSERT_EQUAL("404 no-schedule"s, outcome("GET", target));
        CPPUNIT_ASSERT_EQUAL("404 no-schedule"s, outcome("DELETE", target));
        CPPUNIT_ASSERT_EQUAL("422 invalid-schedule"s,
                             outcome("PUT", target, {}, R"({"cron":"61 * * * *"})"));
        CPPUNIT_ASSERT_EQUAL("422 invalid-field"s, outcome("PUT", target, {}, "{}"));
        const Answer put = send("PUT", target, {}, R"({"every":1,"args":["x"]})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(put.body, 200, put.status);
        CPPUNIT_ASSERT_EQUAL(put.body, send("GET", target).body);
        const auto ran = [&] {
            return got("/api/programs/" + id + "/executions")->getArray("items");
        };
        CPPUNIT_ASSERT(eventually([&] { return ran()->size() > 0; }));
        const long eid = ran()->getObject(0)->getValue<long>("execution_id");
        CPPUNIT_ASSERT(reaches(eid, "succeeded"));
        CPPUNIT_ASSERT_EQUAL("by schedule x\n"s, text(execution(eid), "stdout"));
        CPPUNIT_ASSERT_EQUAL("schedule"s, text(execution(eid), "trigger"));
        restart();  // it is taken up again
        const std::size_t before = ran()->size();
        CPPUNIT_ASSERT(eventually([&] { return ran()->size() > before; }));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/scheduler/jobs/programs.run." + id).status);
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", target));
        CPPUNIT_ASSERT_EQUAL("404 no-schedule"s, outcome("GET", target));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/scheduler/jobs/programs.run." + id).status);
    }

    void keeps_a_history() {
        if (skips()) return;
        const std::string id = upload("a.sh", "exit $1");
        for (const char* code : {"0", "1", "0"})
            execute(id, fmt::format(R"({{"args":["{}"]}})", code));
        const Object page =
            object_of(send("GET", "/api/programs/" + id + "/executions?limit=2").body);
        CPPUNIT_ASSERT_EQUAL("2"s, std::to_string(page->getArray("items")->size()));
        const Object rest = object_of(
            send("GET", "/api/programs/" + id + "/executions?cursor=" + text(page, "next")).body);
        CPPUNIT_ASSERT_EQUAL("1"s, std::to_string(rest->getArray("items")->size()));
        const Object stats = object_of(send("GET", "/api/programs/" + id + "/stats").body);
        CPPUNIT_ASSERT_EQUAL("3"s, text(stats, "total_runs"));
        CPPUNIT_ASSERT_EQUAL("2"s, text(stats, "success_count"));
        CPPUNIT_ASSERT_EQUAL("1"s, text(stats, "error_count"));
        CPPUNIT_ASSERT(stats->getValue<double>("p50") <= stats->getValue<double>("p95"));
        CPPUNIT_ASSERT(stats->getValue<double>("p95") <= stats->getValue<double>("max_time"));
        const std::string log = send("GET", "/api/programs/" + id + "/log").body;
        CPPUNIT_ASSERT_EQUAL(3L, static_cast<long>(std::count(log.begin(), log.end(), '\n')));
        CPPUNIT_ASSERT_MESSAGE(
            log, log.find("bash a.sh [\"1\"] | failed, return code 1") != std::string::npos);
        if (!is_installed("sqlite3")) return;
        const Ran rows =
            test::run({"sqlite3", *folder_ / "programs/db/metrics.db",
                       "SELECT program_id, command, arguments, return_code, success FROM "
                       "program_executions ORDER BY id LIMIT 1 OFFSET 1"});
        CPPUNIT_ASSERT_EQUAL(id + "|bash a.sh|[\"1\"]|1|0\n", rows.out);
        CPPUNIT_ASSERT_EQUAL(
            200,
            send("POST", "/api/storage/cleanup", {}, R"({"metrics_older_than_days":0})").status);
        CPPUNIT_ASSERT_EQUAL(
            "0"s,
            text(object_of(send("GET", "/api/programs/" + id + "/stats").body), "total_runs"));
    }

    void survives_restarts_and_kills() {
        if (skips()) return;
        const std::string id = upload("a.sh", "echo started; sleep 1000");
        const long eid = begin(id);
        CPPUNIT_ASSERT(eventually([&] { return text(execution(eid), "stdout") == "started\n"; }));
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL("lost"s, text(execution(eid), "state"));
        CPPUNIT_ASSERT_EQUAL("200"s, outcome("GET", "/api/programs/" + id));
        // An orderly end stops what runs and says so.
        const long next = begin(id);
        CPPUNIT_ASSERT(next > eid);
        CPPUNIT_ASSERT(eventually([&] { return text(execution(next), "stdout") == "started\n"; }));
        restart();
        CPPUNIT_ASSERT_EQUAL("cancelled"s, text(execution(next), "state"));
        CPPUNIT_ASSERT_EQUAL("started\n"s, text(execution(next), "stdout"));
    }

    void takes_the_origins_programs() {
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const std::string root = *folder_ / "programs";
        fs::remove_all(root);
        write_file(root + "/program_1640995200/script.py", "print('old')\n");
        fs::permissions(root + "/program_1640995200/script.py", fs::perms::owner_read);
        write_file(root + "/project_1640995201/main.py", "print('project')\n");
        write_file(root + "/programs.json",
                   R"({"programs": {"program_1640995200": {"program_id": "program_1640995200",
 "type": "single", "filename": "script.py", "original_name": "my_script.py", "language": "python",
 "size": 13, "upload_time": "2024-01-01T12:00:00.000Z", "execution_count": 5,
 "success_count": 4, "error_count": 1, "avg_execution_time": 1.5},
 "project_1640995201": {"project_id": "project_1640995201", "type": "project",
 "main_file": "main.py", "files": ["main.py"], "size": 17}},
 "total_programs": 2, "total_projects": 1, "total_size": 30})");
        start();
        const Object record = object_of(send("GET", "/api/programs/program_1640995200").body);
        CPPUNIT_ASSERT_EQUAL("5"s, text(record, "execution_count"));
        CPPUNIT_ASSERT_EQUAL("my_script.py"s, text(record, "original_name"));
        CPPUNIT_ASSERT_EQUAL(
            "30"s, text(object_of(send("GET", "/api/programs/storage").body), "total_size"));
        if (skips()) return;
        CPPUNIT_ASSERT_EQUAL("old\n"s, text(execute("program_1640995200"), "stdout"));
        CPPUNIT_ASSERT_EQUAL("project\n"s, text(execute("project_1640995201"), "stdout"));
    }

    void works_without_metrics() {
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/metrics/disable").status);
        if (skips()) return;
        restart();
        const std::string id = upload("a.sh", "echo x");
        CPPUNIT_ASSERT_EQUAL("x\n"s, text(execute(id), "stdout"));
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/metrics/enable").status);
        CPPUNIT_ASSERT_EQUAL("x\n"s, text(execute(id), "stdout"));
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/programs/disable").status);
        CPPUNIT_ASSERT_EQUAL("503 plugin-disabled"s, outcome("GET", "/api/programs"));
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/programs/enable").status);
        CPPUNIT_ASSERT_EQUAL("2"s, text(got("/api/programs/" + id + "/stats"), "total_runs"));
    }
};

LARDER_TEST_SUITE(ProgramsTest);

}  // namespace
}  // namespace larder::test
