// The multipart reader: forms as clients send them, in pieces of every size, and malformed ones.
#include "files_multipart.hpp"

#include <fmt/format.h>

#include <vector>

#include "larder/error.hpp"
#include "support/suite.hpp"

namespace larder::files {
namespace {

struct Part {
    PartHead head;
    std::string bytes;
    bool ended = false;
};

class Collector final : public MultipartReader::Listener {
public:
    void begin_part(PartHead&& head) override { parts.push_back({std::move(head), {}}); }
    void part_bytes(std::string_view bytes) override { parts.back().bytes += bytes; }
    void end_part() override { parts.back().ended = true; }
    std::vector<Part> parts;
};

std::vector<Part> read(std::string_view body, std::size_t piece) {
    Collector collector;
    MultipartReader reader("B", collector);
    for (std::size_t at = 0; at < body.size(); at += piece) reader.push(body.substr(at, piece));
    reader.finish();
    for (const Part& part : collector.parts) CPPUNIT_ASSERT(part.ended);
    return collector.parts;
}

std::string head(std::string_view disposition) {
    return fmt::format("--B\r\nContent-Disposition: {}\r\n\r\n", disposition);
}

class FilesMultipartTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FilesMultipartTest);
    CPPUNIT_TEST(reads_a_form_in_pieces_of_any_size);
    CPPUNIT_TEST(reads_empty_parts);
    CPPUNIT_TEST(keeps_what_only_looks_like_a_delimiter);
    CPPUNIT_TEST(reads_file_names);
    CPPUNIT_TEST(refuses_what_is_malformed);
    CPPUNIT_TEST(holds_back_little);
    CPPUNIT_TEST(reads_boundaries);
    CPPUNIT_TEST_SUITE_END();

public:
    void reads_a_form_in_pieces_of_any_size() {
        const std::string body =
            "a preamble\r\n--B  \r\ncontent-type: text/plain; charset=x\r\nX-Other: 1\r\n"
            "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n"
            "one\r\n--\r\ntwo\r\n" +
            head("form-data; name=note") + "hello\r\n--B--\r\nan epilogue --B\r\n--B\r\n";
        for (std::size_t piece = 1; piece <= body.size(); ++piece) {
            const auto parts = read(body, piece);
            CPPUNIT_ASSERT_EQUAL(std::size_t{2}, parts.size());
            CPPUNIT_ASSERT_EQUAL(std::string("one\r\n--\r\ntwo"), parts[0].bytes);
            CPPUNIT_ASSERT_EQUAL(std::string("file"), parts[0].head.name);
            CPPUNIT_ASSERT_EQUAL(std::string("a.txt"), parts[0].head.filename.value());
            CPPUNIT_ASSERT_EQUAL(std::string("text/plain; charset=x"), parts[0].head.content_type);
            CPPUNIT_ASSERT_EQUAL(std::string("note"), parts[1].head.name);
            CPPUNIT_ASSERT(!parts[1].head.filename);
            CPPUNIT_ASSERT_EQUAL(std::string("hello"), parts[1].bytes);
        }
    }

    void reads_empty_parts() {
        const std::string body = head("form-data; name=a") + "\r\n" + head("form-data; name=b") +
                                 "--B--";  // the second shares its empty line with its delimiter
        for (std::size_t piece = 1; piece <= body.size(); ++piece) {
            const auto parts = read(body, piece);
            CPPUNIT_ASSERT_EQUAL(std::size_t{2}, parts.size());
            CPPUNIT_ASSERT_EQUAL(std::string(), parts[0].bytes + parts[1].bytes);
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, read("--B--", 1).size());
    }

    void keeps_what_only_looks_like_a_delimiter() {
        const std::string bytes = "\r\r\n\r\n-\r\n--\n--B\n\r--B--\r\n--b";
        const std::string body = head("form-data; name=a") + bytes + "\r\n--B--\r\n";
        for (std::size_t piece = 1; piece <= body.size(); ++piece) {
            CPPUNIT_ASSERT_EQUAL(bytes, read(body, piece).at(0).bytes);
        }
    }

    void reads_file_names() {
        const auto name = [](const std::string& parameters) {
            return read(head("form-data; name=\"file\"; " + parameters) + "\r\n--B--", 7)
                .at(0)
                .head.filename.value_or("(none)");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("a\"b\\c.txt"), name(R"(filename="a\"b\\c.txt")"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(C:\new\x.txt)"), name(R"(filename="C:\new\x.txt")"));
        CPPUNIT_ASSERT_EQUAL(std::string("a;b=c"), name(R"(filename="a;b=c")"));
        CPPUNIT_ASSERT_EQUAL(std::string("plain.txt"), name("FileName = plain.txt ;x=y"));
        CPPUNIT_ASSERT_EQUAL(std::string("\u00E9 .txt"),
                             name("filename=\"e.txt\"; filename*=utf-8''%C3%A9%20.txt"));
        CPPUNIT_ASSERT_EQUAL(std::string("e.txt"), name("filename=e.txt; filename*=latin1''x"));
        CPPUNIT_ASSERT_EQUAL(std::string(), name("filename=\"\""));
        CPPUNIT_ASSERT_EQUAL(std::string("(none)"), name("size=3"));
    }

    void refuses_what_is_malformed() {
        const std::string good = head("form-data; name=a");
        for (const std::string& body :
             {std::string(), std::string("nothing"), std::string("--B"), good, good + "x",
              good + "x\r\n--B", good + "x\r\n--B\r\n", good + "x\r\n--BB--", good + "x\r\n--B-",
              std::string("--B\r\n\r\nx\r\n--B--"),
              std::string("--B\r\nno colon\r\n\r\nx\r\n--B--"),
              std::string("--B\r\n: x\r\n\r\nx\r\n--B--"), head("attachment; name=a") + "\r\n--B--",
              head("form-data") + "\r\n--B--", head("form-data; name=\"a") + "\r\n--B--",
              std::string("--B\r\nContent-Disposition: form-data; name=a\r\n"
                          "Content-Disposition: form-data; name=b\r\n\r\n"
                          "\r\n--B--"),
              std::string("--B\r\nX: ") + std::string(20000, 'x'), std::string(70000, 'x'),
              "--B" + std::string(300, ' ')}) {
            for (const std::size_t piece : {std::size_t{1}, body.size() + 1}) {
                try {
                    read(body, piece);
                } catch (const Error& error) {
                    CPPUNIT_ASSERT_EQUAL(std::string("invalid-multipart"), error.slug());
                    continue;
                }
                CPPUNIT_FAIL("was taken: " + body.substr(0, 100));
            }
        }
        std::string many;
        for (std::size_t i = 0; i <= MultipartReader::kMaxParts; ++i) {
            many += head("form-data; name=a") + "\r\n";
        }
        CPPUNIT_ASSERT_THROW(read(many + "--B--", 4096), Error);
    }

    // What was not told of yet is at most a delimiter and what the last piece brought.
    void holds_back_little() {
        Collector collector;
        MultipartReader reader("B", collector);
        reader.push(head("form-data; name=a"));
        std::size_t sent = 0;
        for (int i = 0; i < 1000; ++i) {
            reader.push("some bytes \r\n-");
            sent += 14;
            CPPUNIT_ASSERT(collector.parts.at(0).bytes.size() + 8 > sent);
        }
    }

    void reads_boundaries() {
        CPPUNIT_ASSERT_EQUAL(std::string("a b"),
                             boundary_of("Multipart/Form-Data; charset=x; Boundary=\"a b\""));
        CPPUNIT_ASSERT_EQUAL(std::string("x"), boundary_of("multipart/form-data;boundary=x"));
        for (const char* bad :
             {"multipart/form-data",
              "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a \"",
              "multipart/mixed; boundary=x", "", "multipart/form-data; boundary=\"\r\n\""}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(bad, boundary_of(bad), Error);
        }
        CPPUNIT_ASSERT_THROW(boundary_of("multipart/form-data; boundary=" + std::string(71, 'x')),
                             Error);
    }
};

LARDER_TEST_SUITE(FilesMultipartTest);

}  // namespace
}  // namespace larder::files
