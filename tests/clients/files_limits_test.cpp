// What files refuses or makes harmless: names, types, sizes, the quota, uploads that break off.
#include <Poco/TextIterator.h>
#include <Poco/UTF8Encoding.h>
#include <fmt/format.h>

#include <atomic>
#include <thread>
#include <vector>

#include "support/files_fixture.hpp"
#include "support/json_view.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;

class FilesLimitsTest : public FilesFixture {
    CPPUNIT_TEST_SUITE(FilesLimitsTest);
    CPPUNIT_TEST(names_are_safe);
    CPPUNIT_TEST(hostile_names_do_no_harm);
    CPPUNIT_TEST(refuses_blocked_and_large);
    CPPUNIT_TEST(the_quota_holds_against_a_crowd);
    CPPUNIT_TEST(broken_uploads_leave_nothing);
    CPPUNIT_TEST(large_files_pass_in_little_memory);
    CPPUNIT_TEST_SUITE_END();

public:
    void names_are_safe() {
        const auto named = [&](const std::string& target) {
            return send("PUT", "/api/files/" + target, {}, "x").member("original_name");
        };
        CPPUNIT_ASSERT_EQUAL("x"s, named("..%2f..%2fx"));
        CPPUNIT_ASSERT_EQUAL("x"s, named("..%5C..%5Cx"));
        CPPUNIT_ASSERT_EQUAL("file"s, named("%2e%2e"));
        CPPUNIT_ASSERT_EQUAL("htaccess"s, named(".htaccess"));
        CPPUNIT_ASSERT_EQUAL("_CON"s, named("CON"));
        CPPUNIT_ASSERT_EQUAL("ab"s, named("a%0D%0Ab"));
        CPPUNIT_ASSERT_EQUAL("a__b"s, named("a%C0%AFb"));
        CPPUNIT_ASSERT_EQUAL("gpj"s, named("%E2%80%AEgpj"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{255}, named(std::string(300, 'a')).size());
        CPPUNIT_ASSERT_EQUAL("400 bad-request"s, outcome("PUT", "/api/files/a%00b", {}, "x"));
        for (const std::string& url : listed("limit=1000", "url")) {
            CPPUNIT_ASSERT_EQUAL("x"s, send("GET", url).body);
        }
        for (const std::string& name : stored()) {
            CPPUNIT_ASSERT_MESSAGE(name,
                                   name.size() <= 255 && name.find("_1") != std::string::npos);
        }
        // What lies beside the files cannot be had as one.
        for (const char* name : {"files_metadata.json", "files_metadata.json.journal", ".staging",
                                 "..", "%2e%2e%2fstorage.json", ".tus%2Fuploads.json"}) {
            CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", "/api/files/"s + name));
            CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("DELETE", "/api/files/"s + name));
        }
    }

    // Each as a path segment and in a form: kept under a name that is safe, or refused, and then
    // nothing is left.
    void hostile_names_do_no_harm() {
        const auto names = hostile_names();
        CPPUNIT_ASSERT_MESSAGE(std::to_string(names.size()), names.size() >= 200);
        const auto before = beside_files();
        std::size_t kept = 0;
        for (const std::string& name : names) {
            const Answer raw = send("PUT", "/api/files/" + percent_encoded(name), {}, "x");
            kept += is_kept_safely(name, raw);
            if (name.find_first_of("\r\n\0\"\\"s) != std::string::npos) continue;
            const Answer form = send("POST", "/api/files/upload", kForm,
                                     form_part("file", name, "x") + "--XX--\r\n");
            kept += is_kept_safely(name, form);
        }
        CPPUNIT_ASSERT(kept > names.size());
        CPPUNIT_ASSERT_EQUAL(kept, stored().size());
        CPPUNIT_ASSERT_EQUAL(std::to_string(kept), storage("file_count"));
        CPPUNIT_ASSERT_MESSAGE("nothing beside them", before == beside_files());
        restart();
        CPPUNIT_ASSERT_EQUAL(std::to_string(kept), storage("file_count"));
    }

    void refuses_blocked_and_large() {
        environment_.emplace_back("LARDER_FILES_MAX_FILE_SIZE", "1KiB");
        restart_with("LARDER_FILES_QUOTA", "4000");
        for (const char* name : {"a.exe", "A.EXE", "a.tar.Sh", "x.exe.", "y.jar%20", "z.b%61t"}) {
            const std::string taken = outcome("PUT", "/api/files/"s + name, {}, "x");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, "415 blocked-extension"s, taken);
        }
        CPPUNIT_ASSERT_EQUAL("415 blocked-extension"s,
                             refused(send("POST", "/api/files/upload", kForm,
                                          form_part("file", "a.ps1", "x") + "--XX--")));
        put("ok.exe.txt", "x");
        const std::string large(1025, 'x');
        CPPUNIT_ASSERT_EQUAL("413 file-too-large"s, outcome("PUT", "/api/files/a", {}, large));
        CPPUNIT_ASSERT_EQUAL("415 blocked-extension"s,
                             outcome("PUT", "/api/files/a.exe", {}, large));
        CPPUNIT_ASSERT_EQUAL("413 file-too-large"s,
                             refused(send("POST", "/api/files/upload", kForm,
                                          form_part("file", "a", large) + "--XX--")));
        for (int i = 0; i < 3; ++i) put("a", std::string(1000, 'x'));
        const Answer full = send("PUT", "/api/files/a", {}, std::string(1000, 'x'));
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s, refused(full));
        CPPUNIT_ASSERT_EQUAL("999"s, number(full.body, "available"));
        // A length that nobody told is found out on the way.
        RawClient client(daemon_->port());
        client.send(
            "PUT /api/files/b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "\r\n3e8\r\n" +
            std::string(1000, 'x') + "\r\n0\r\n\r\n");
        const Answer longer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s, refused(longer));
        CPPUNIT_ASSERT_EQUAL("999"s, number(longer.body, "available"));
        // A form that fits to the byte, and one that does not.
        CPPUNIT_ASSERT_EQUAL(507, send("POST", "/api/files/upload", kForm,
                                       form_part("file", "a", std::string(1000, 'x')) + "--XX--")
                                      .status);
        CPPUNIT_ASSERT_EQUAL(201, send("POST", "/api/files/upload", kForm,
                                       form_part("file", "a", std::string(500, 'x')) +
                                           form_part("file", "a", std::string(499, 'x')) + "--XX--")
                                      .status);
        CPPUNIT_ASSERT_EQUAL("4000"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("available_bytes"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", listed("", "url").front()).status);
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", listed("", "url").front()));
        CPPUNIT_ASSERT_EQUAL(std::size_t{5}, stored().size());
    }

    void the_quota_holds_against_a_crowd() {
        restart_with("LARDER_FILES_QUOTA", "1000000");
        std::atomic<int> taken{0}, refused{0};
        std::vector<std::thread> crowd;
        for (int i = 0; i < 32; ++i) {
            crowd.emplace_back([&, i] {
                const std::string bytes(100000, 'x');
                const Answer answer = i % 2 == 0
                                          ? send("PUT", "/api/files/a.txt", {}, bytes)
                                          : send("POST", "/api/files/upload", kForm,
                                                 form_part("file", "a.txt", bytes) + "--XX--");
                (answer.status == 201 ? taken : refused)++;
                if (answer.status != 201 && answer.status != 507) taken = 1000;
            });
        }
        for (std::thread& one : crowd) one.join();
        // As many as fit, but for forms, whose delimiters count while they come.
        CPPUNIT_ASSERT(taken >= 9 && taken <= 10 && taken + refused == 32);
        CPPUNIT_ASSERT_EQUAL(fmt::format("{}", taken * 100000), storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
        CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(taken), stored().size());
        restart();
        CPPUNIT_ASSERT_EQUAL(fmt::format("{}", taken * 100000), storage("used_bytes"));
    }

    void broken_uploads_leave_nothing() {
        const std::string body =
            form_part("file", "a.txt", std::string(100000, 'x')) + "--XX--\r\n";
        const std::string post = fmt::format(
            "POST /api/files/upload HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}",
            kForm, body.size(), body);
        const std::string put =
            "PUT /api/files/a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" +
            std::string(100000, 'x');
        for (const std::string& whole : {post, put}) {
            const std::size_t head = whole.find("\r\n\r\n") + 4;
            for (const std::size_t sent :
                 {head, head + 1, head + 70, head + 50000, whole.size() - 1}) {
                for (int way = 0; way < 3; ++way) {
                    RawClient client(daemon_->port());
                    client.send(std::string_view(whole).substr(0, sent));
                    if (way == 1) client.half_close();
                    if (way == 2) client.reset();
                    if (way == 1) client.read_to_end();
                }
            }
        }
        CPPUNIT_ASSERT(eventually([&] {
            return stored().empty() && storage("reserved_bytes") == "0" &&
                   storage("used_bytes") == "0";
        }));
        // More than the length says is the next request, and no part of the file.
        RawClient client(daemon_->port());
        client.send(
            "PUT /api/files/a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
            "helloGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL("5"s, number(client.read_answer().body, "size"));
        CPPUNIT_ASSERT_EQUAL(200, client.read_answer().status);
    }

    void large_files_pass_in_little_memory() {
        const auto resident = [&] {
            const std::string status = read_file(fmt::format("/proc/{}/status", daemon_->pid()));
            return std::stol(status.substr(status.find("RssAnon:") + 8));
        };
        const std::string bytes(64U << 20U, 'x');
        put("warm.bin", bytes.substr(0, 1U << 20U));
        const long before = resident();
        const std::string url = put("large.bin", bytes);
        CPPUNIT_ASSERT_EQUAL(bytes.size(), send("GET", url).body.size());
        CPPUNIT_ASSERT_MESSAGE(fmt::format("{} KiB more", resident() - before),
                               resident() - before < 8192);
    }

private:
    std::set<std::string> beside_files() const {
        std::set<std::string> names;
        for (const auto& entry : fs::directory_iterator(folder_->path())) {
            names.insert(entry.path().filename().string());
        }
        return names;
    }
    static std::string percent_encoded(const std::string& name) {
        std::string text;
        for (const unsigned char c : name) text += fmt::format("%{:02X}", c);
        return text;
    }

    static bool is_utf8(const std::string& text) {
        const Poco::UTF8Encoding encoding;
        const Poco::TextIterator end(text);
        for (Poco::TextIterator at(text, encoding); at != end; ++at) {
            if (*at < 0) return false;
        }
        return true;
    }

    bool is_kept_safely(const std::string& name, const Answer& answer) const {
        const std::string what = fmt::format("{}: {}", percent_encoded(name), answer.body);
        if (answer.status != 201) {
            CPPUNIT_ASSERT_MESSAGE(what, answer.status >= 400 && answer.status < 500);
            return false;
        }
        const auto record = object_of(answer.body);
        for (const char* member : {"filename", "original_name"}) {
            const auto safe = record->getValue<std::string>(member);
            CPPUNIT_ASSERT_MESSAGE(what, !safe.empty() && safe.size() <= 255);
            CPPUNIT_ASSERT_MESSAGE(what, safe.front() != '.' && safe.back() != '.');
            CPPUNIT_ASSERT_MESSAGE(what, safe.find_first_of("/\\") == std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(what, is_utf8(safe));
            for (const unsigned char c : safe) CPPUNIT_ASSERT_MESSAGE(what, c >= 0x20 && c != 0x7F);
            for (const char* control : kBidiControls) {
                CPPUNIT_ASSERT_MESSAGE(what, safe.find(control) == std::string::npos);
            }
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, "x"s, send("GET", answer.header("Location")).body);
        return true;
    }

    static std::vector<std::string> hostile_names() {
        std::vector<std::string> names{
            "../x",
            "../../../../etc/passwd",
            "..\\..\\x",
            "/etc/passwd",
            "//x",
            "C:\\x",
            "C:x",
            "\\\\host\\share\\x",
            "a/../../b",
            "./x",
            "..",
            ".",
            "...",
            "....//x",
            "..;/x",
            "~/x",
            ".htaccess",
            ".bashrc",
            ".tus",
            ".staging",
            ".staging/x",
            "files_metadata.json",
            "files_metadata.json.journal",
            "storage",
            "tus",
            "verify",
            "a\0b"s,
            "\0"s,
            "a.txt\0.exe"s,
            "a.exe",
            "a.EXE",
            "a.exe.",
            "a.exe ",
            "a.exe. .",
            "a.exe::$DATA",
            "a.txt:stream",
            "a.exe\u200E",
            "a.\u202Eexe",
            "\xC0\xAE\xC0\xAE\xC0\xAFx",
            "a\xC0\xAF"
            "b",
            "\xE0\x80\xAFx",
            "\xF0\x80\x80\xAFx",
            "\xED\xA0\x80",
            "\xED\xBF\xBF",
            "\xF4\x90\x80\x80",
            "\xFF\xFE",
            "\x80",
            "a\xE2\x82",
            "\xF8\x88\x80\x80\x80",
            "\uFEFFx",
            "e\u0301.txt",
            "\uFF0E\uFF0E\uFF0Fx",
            "a\u2044b",
            "a\u2215b",
            "\u00A0",
            "\u3000x",
            "\u200B",
            "\u00ADx",
            "-rf",
            "--help",
            "$(id)",
            "`id`",
            "; rm -rf /",
            "| cat",
            "&& id",
            "%2e%2e%2fx",
            "%00",
            "%",
            "a%zz",
            "*",
            "?",
            "<script>alert(1)</script>.html",
            "'; DROP TABLE files;--",
            "a\"b",
            "a'b",
            "name=\"x\"; filename=\"y",
            "\u0130.txt",
            "\uFB01.txt",
            " ",
            "   x   ",
            "x.",
            "x. . .",
            std::string(256, 'a'),
            std::string(300, 'a'),
            std::string(1000, '.'),
            std::string(300, 'a') + ".txt",
            "a." + std::string(300, 'b'),
            std::string(255, '.') + "x",
        };
        for (int c = 1; c < 0x20; ++c)
            names.push_back(std::string("a") + static_cast<char>(c) + "b");
        names.emplace_back(
            "a\x7F"
            "b");
        for (const char* control : kBidiControls) {
            names.push_back(std::string(control) + "gpj.exe");
            names.push_back(std::string("a") + control);
        }
        for (const char* device : {"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"}) {
            for (const char* more : {"", ".txt", " .txt", "."})
                names.push_back(std::string(device) + more);
        }
        for (int i = 0; i < 10; ++i) {
            names.push_back(fmt::format("COM{}", i));
            names.push_back(fmt::format("com{}.", i));
            names.push_back(fmt::format("lpt{}.tar.gz", i));
        }
        std::string wide, combining = "a";
        for (int i = 0; i < 200; ++i) wide += "\u6587";
        for (int i = 0; i < 200; ++i) combining += "\u0301";
        names.insert(names.end(), {wide, "x" + wide + ".txt", combining, wide + "." + wide});
        return names;
    }

    static constexpr const char* kBidiControls[] = {"\u061C", "\u200E", "\u200F", "\u202A",
                                                    "\u202B", "\u202C", "\u202D", "\u202E",
                                                    "\u2066", "\u2067", "\u2068", "\u2069"};
};

LARDER_TEST_SUITE(FilesLimitsTest);

}  // namespace
}  // namespace larder::test
