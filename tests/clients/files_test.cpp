// files as a client sees it, against a real larderd: uploads, records, lists, metadata. What comes
// down, what is refused, what is kept in order: files_download_test.cpp, files_limits_test.cpp,
// files_upkeep_test.cpp; resumable uploads: files_tus_test.cpp.
#include <fmt/format.h>

#include <tuple>

#include "support/files_fixture.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;

class FilesTest : public FilesFixture {
    CPPUNIT_TEST_SUITE(FilesTest);
    CPPUNIT_TEST(keeps_and_gives_back);
    CPPUNIT_TEST(takes_forms);
    CPPUNIT_TEST(forms_are_all_or_nothing);
    CPPUNIT_TEST(checks_digests);
    CPPUNIT_TEST(lists_sorted_with_cursors);
    CPPUNIT_TEST(edits_metadata);
    CPPUNIT_TEST(deletes);
    CPPUNIT_TEST(route_words_are_no_names);
    CPPUNIT_TEST(tells_types_by_content);
    CPPUNIT_TEST_SUITE_END();

public:
    void keeps_and_gives_back() {
        const Answer put = send("PUT", "/api/files/hello.txt", {}, "hello world");
        CPPUNIT_ASSERT_EQUAL(201, put.status);
        CPPUNIT_ASSERT_EQUAL("hello.txt"s, put.member("original_name"));
        CPPUNIT_ASSERT_EQUAL(kHello + ""s, put.member("hash"));
        CPPUNIT_ASSERT_EQUAL(kHello + ""s, put.member("checksum"));
        CPPUNIT_ASSERT_EQUAL("text/plain"s, put.member("mime_type"));
        CPPUNIT_ASSERT_EQUAL("127.0.0.1"s, put.member("uploader_ip"));
        CPPUNIT_ASSERT_EQUAL("11"s, number(put.body, "size"));
        const std::string url = put.header("Location");
        CPPUNIT_ASSERT_EQUAL("/api/files/" + put.member("filename"), url);
        for (int i = 0; i < 2; ++i) {  // from the disk, and from the file that is open
            const Answer got = send("GET", url);
            CPPUNIT_ASSERT_EQUAL(200, got.status);
            CPPUNIT_ASSERT_EQUAL("hello world"s, got.body);
            CPPUNIT_ASSERT_EQUAL(fmt::format("\"{}\"", kHello), got.header("ETag"));
            CPPUNIT_ASSERT_EQUAL(kHelloDigest + ""s, got.header("Repr-Digest"));
            CPPUNIT_ASSERT_EQUAL("bytes"s, got.header("Accept-Ranges"));
            CPPUNIT_ASSERT_EQUAL("attachment; filename=\"hello.txt\""s,
                                 got.header("Content-Disposition"));
            CPPUNIT_ASSERT_EQUAL("text/plain"s, got.header("Content-Type"));
            CPPUNIT_ASSERT(!got.header("Last-Modified").empty());
        }
        const Answer head = send("HEAD", url);
        CPPUNIT_ASSERT_EQUAL(200, head.status);
        CPPUNIT_ASSERT_EQUAL("11"s, head.header("Content-Length"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", this->put("empty", "")).status);
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", "/api/files/nobody.txt"));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", "/api/files/nobody/metadata"));
        restart();
        CPPUNIT_ASSERT_EQUAL("hello world"s, send("GET", url).body);
        // Two of a name get two names.
        CPPUNIT_ASSERT(this->put("hello.txt", "1") != this->put("hello.txt", "2"));
    }

    void takes_forms() {
        const Answer one = send(
            "POST", "/api/files/upload", kForm,
            form_part("note", "", "x") + form_part("file", "a.txt", "hello world") + "--XX--\r\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(one.body, 201, one.status);
        CPPUNIT_ASSERT_EQUAL(kHello + ""s, one.member("hash"));
        CPPUNIT_ASSERT_EQUAL(one.member("url"), one.header("Location"));
        const Answer two =
            send("POST", "/api/files/upload", kForm,
                 form_part("file", "a.txt", "1") + form_part("file", "b.txt", "22") + "--XX--");
        CPPUNIT_ASSERT_EQUAL(201, two.status);
        CPPUNIT_ASSERT_MESSAGE(two.body,
                               two.body.starts_with(R"({"files":[{"original_name":"a.txt")"));
        CPPUNIT_ASSERT_EQUAL("3"s, storage("file_count"));
        const auto form = [&](const std::string& headers, const std::string& body) {
            return refused(send("POST", "/api/files/upload", headers, body));
        };
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, form_part("note", "", "x") + "--XX--"));
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, form_part("file", "", "x") + "--XX--"));
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, form_part("other", "a", "x") + "--XX--"));
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, "--XX--\r\n"));
        CPPUNIT_ASSERT_EQUAL("400 invalid-multipart"s, form(kForm, "hello"));
        CPPUNIT_ASSERT_EQUAL("400 invalid-multipart"s, form(kForm, form_part("file", "a", "x")));
        CPPUNIT_ASSERT_EQUAL("400 invalid-multipart"s,
                             form("Content-Type: multipart/form-data\r\n", "x"));
        CPPUNIT_ASSERT_EQUAL("415 unsupported-media-type"s,
                             form("Content-Type: text/plain\r\n", "hello"));
        CPPUNIT_ASSERT_EQUAL("415 unsupported-media-type"s, form("", "hello"));
        // Nothing was chosen in the form's field: the other one counts.
        const Answer chosen = send(
            "POST", "/api/files/upload", kForm,
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n" +
                form_part("file", "c.txt", "x") + "--XX--");
        CPPUNIT_ASSERT_EQUAL("c.txt"s, chosen.member("original_name"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, stored().size());
    }

    void forms_are_all_or_nothing() {
        const auto before = stored();
        for (const std::string& second :
             {form_part("file", "b.exe", "2"), "--XX\r\nX: y\r\n\r\n"s, ""s}) {
            const Answer answer =
                send("POST", "/api/files/upload", kForm, form_part("file", "a.txt", "1") + second);
            CPPUNIT_ASSERT(answer.status == 400 || answer.status == 415);
            CPPUNIT_ASSERT(stored() == before);
        }
        CPPUNIT_ASSERT_EQUAL("0"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
    }

    void checks_digests() {
        put("a.txt", "hello world", fmt::format("Content-Digest: {}\r\n", kHelloDigest));
        put("a.txt", "hello world",
            fmt::format("Repr-Digest: md5=:x:, {}\r\nContent-Digest: sha-512=:AAAA:\r\n",
                        kHelloDigest));
        const auto with = [&](const std::string& digest) {
            return outcome("PUT", "/api/files/b.txt", digest + "\r\n", "hello worlD");
        };
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, with("Content-Digest: "s + kHelloDigest));
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, with("Repr-Digest: "s + kHelloDigest));
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, with("Content-Digest: sha-256=:AAAA:"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, stored().size());
        // As a trailer, of a body whose length nobody told.
        RawClient client(daemon_->port());
        client.send(
            fmt::format("PUT /api/files/c.txt HTTP/1.1\r\nHost: localhost\r\n"
                        "Transfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n\r\n"
                        "b\r\nhello worlD\r\n0\r\nContent-Digest: {}\r\n\r\n",
                        kHelloDigest));
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, refused(client.read_answer()));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, stored().size());
    }

    void lists_sorted_with_cursors() {
        for (const char* name : {"b2", "a1", "b1", "c", "a2", "b3"}) {
            put(name + ".txt"s, std::string(std::size_t(name[0] - 'a') * 10 + name[1] % 8U, 'x'));
        }
        put("picture", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s);
        const auto names = [&](const std::string& query) {
            std::string text;
            for (const std::string& name : listed(query, "original_name")) {
                text += name.substr(0, name.find('.')) + " ";
            }
            return text;
        };
        CPPUNIT_ASSERT_EQUAL("a1 a2 b1 b2 b3 c picture "s, names(""));
        CPPUNIT_ASSERT_EQUAL("picture c b3 b2 b1 a2 a1 "s, names("sort=name&order=desc"));
        CPPUNIT_ASSERT_EQUAL("a1 a2 b1 b2 b3 picture c "s, names("sort=size"));
        CPPUNIT_ASSERT_EQUAL("b2 a1 b1 c a2 b3 picture "s, names("sort=uploaded_at"));
        CPPUNIT_ASSERT_EQUAL("b1 b2 b3 "s, names("prefix=b"));
        CPPUNIT_ASSERT_EQUAL("b3 b2 b1 "s, names("prefix=b&order=desc"));
        CPPUNIT_ASSERT_EQUAL("b3 b1 b2 "s, names("prefix=b&sort=uploaded_at&order=desc"));
        CPPUNIT_ASSERT_EQUAL("picture "s, names("mime=image/"));
        CPPUNIT_ASSERT_EQUAL(""s, names("prefix=zz"));
        for (const std::string& query : {"sort=name"s, "sort=size&order=desc"s, "sort=uploaded_at"s,
                                         "sort=downloads&order=desc"s, "prefix=b"s,
                                         "prefix=b&order=desc"s, "mime=text/&sort=size"s}) {
            const std::string all = names(query);
            for (int limit = 1; limit < 4; ++limit) {
                std::string paged, cursor;
                do {
                    const std::string page = fmt::format("{}&limit={}{}", query, limit, cursor);
                    paged += names(page);
                    const std::string body = send("GET", "/api/files?" + page).body;
                    const std::string next = body.substr(body.rfind("\"next\":") + 7);
                    cursor =
                        next == "null}" ? "" : "&cursor=" + next.substr(1, next.find('"', 1) - 1);
                } while (!cursor.empty());
                CPPUNIT_ASSERT_EQUAL(all, paged);
            }
        }
        for (const char* bad : {"sort=color", "order=up", "limit=0", "limit=1001", "what=1"}) {
            CPPUNIT_ASSERT_EQUAL("400 invalid-parameter"s, outcome("GET", "/api/files?"s + bad));
        }
        CPPUNIT_ASSERT_EQUAL("400 invalid-cursor"s, outcome("GET", "/api/files?cursor=x"));
    }

    void edits_metadata() {
        const std::string url = put("a.txt", "hello world");
        const auto patch = [&](const std::string& body) {
            return send("PATCH", url + "/metadata",
                        "Content-Type: application/merge-patch+json\r\n", body);
        };
        const Answer edited =
            patch(R"({"original_name":"../b.md","mime_type":"text/markdown","tags":["x","y"],)"
                  R"("expires_at":"2999-01-01T00:00:00+01:00"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(edited.body, 200, edited.status);
        CPPUNIT_ASSERT_EQUAL("b.md"s, edited.member("original_name"));
        CPPUNIT_ASSERT_EQUAL("2998-12-31T23:00:00.000Z"s, edited.member("expires_at"));
        CPPUNIT_ASSERT(edited.body.find(R"("tags":["x","y"])") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(edited.body, send("GET", url + "/metadata").body);
        const Answer got = send("GET", url);
        CPPUNIT_ASSERT_EQUAL("text/markdown"s, got.header("Content-Type"));
        CPPUNIT_ASSERT_EQUAL("attachment; filename=\"b.md\""s, got.header("Content-Disposition"));
        patch(R"({"tags":{"k":"v","l":"w"}})");
        CPPUNIT_ASSERT(patch(R"({"tags":{"k":null},"expires_at":null})")
                           .body.find(R"("expires_at":null,"tags":{"l":"w"})") !=
                       std::string::npos);
        restart();
        CPPUNIT_ASSERT(send("GET", url + "/metadata").body.find(R"("tags":{"l":"w"})") !=
                       std::string::npos);
        for (const auto& [body, code, pointer] :
             {std::tuple{R"({"size":1})", "422 invalid-field", "/size"},
              std::tuple{R"({"original_name":""})", "422 invalid-field", "/original_name"},
              std::tuple{R"({"original_name":null})", "422 invalid-field", "/original_name"},
              std::tuple{R"({"original_name":"a.exe"})", "415 blocked-extension", ""},
              std::tuple{R"({"mime_type":"text"})", "422 invalid-field", "/mime_type"},
              std::tuple{R"({"tags":"x"})", "422 invalid-field", "/tags"},
              std::tuple{R"({"tags":[1]})", "422 invalid-field", "/tags"},
              std::tuple{R"({"expires_at":"soon"})", "422 invalid-field", "/expires_at"},
              std::tuple{R"([])", "422 invalid-field", ""},
              std::tuple{R"({"tags":)", "400 invalid-json", ""}}) {
            const Answer answer = patch(body);
            CPPUNIT_ASSERT_EQUAL(code + ""s, refused(answer));
            CPPUNIT_ASSERT_EQUAL(pointer + ""s, answer.member("pointer"));
        }
        CPPUNIT_ASSERT_EQUAL(
            "415 unsupported-media-type"s,
            outcome("PATCH", url + "/metadata", "Content-Type: text/plain\r\n", "{}"));
        const Answer foreign =
            send("PATCH", url + "/metadata", "Content-Type: application/json-patch+json\r\n",
                 R"({"mime_type":"text/x"})");
        CPPUNIT_ASSERT_EQUAL("415 unsupported-media-type"s, refused(foreign));
        CPPUNIT_ASSERT(foreign.header("Accept-Patch").find("merge-patch") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s,
                             outcome("PATCH", "/api/files/x/metadata", {}, "{}"));
    }

    void deletes() {
        const std::string url = put("a.txt", "hello world");
        send("GET", url);  // it is open now
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", url));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("DELETE", url));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", url));
        CPPUNIT_ASSERT(stored().empty());
        CPPUNIT_ASSERT_EQUAL("0"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("file_count"));
    }

    void route_words_are_no_names() {
        for (const char* word : {"upload", "storage", "verify", "tus"}) {
            CPPUNIT_ASSERT_EQUAL("405 method-not-allowed"s,
                                 outcome("PUT", "/api/files/"s + word, {}, "x"));
        }
        CPPUNIT_ASSERT(stored().empty());
    }

    void tells_types_by_content() {
        const auto type = [&](const std::string& name, const std::string& bytes) {
            return send("PUT", "/api/files/" + name, "Content-Type: application/x-made-up\r\n",
                        bytes)
                .member("mime_type");
        };
        CPPUNIT_ASSERT_EQUAL("image/png"s, type("a.txt", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1"s));
        CPPUNIT_ASSERT_EQUAL("application/pdf"s, type("a.bin", "%PDF-1.4\n%abc\n"));
        CPPUNIT_ASSERT_EQUAL("application/json"s, type("a", R"({"a": [1, 2, 3]})"));
        CPPUNIT_ASSERT_EQUAL("application/octet-stream"s, type("empty.png", ""));
        CPPUNIT_ASSERT_EQUAL("application/x-made-up"s,
                             send("GET", listed("prefix=empty", "url").front() + "/metadata")
                                 .member("sent_mime_type"));
    }
};

LARDER_TEST_SUITE(FilesTest);

}  // namespace
}  // namespace larder::test
