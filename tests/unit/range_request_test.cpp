// What a GET with conditions and ranges is answered with: which of 200, 206, 304, 412 and 416.
#include "storage-kit/range_request.hpp"

#include <string>
#include <utility>
#include <vector>

#include "larder/error.hpp"
#include "support/fake_exchange.hpp"
#include "support/suite.hpp"

namespace larder::storage {
namespace {

constexpr std::int64_t kTime = 784111777;  // the RFC's own example
const std::string kDate = "Sun, 06 Nov 1994 08:49:37 GMT";
const std::string kEarlier = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kTag = "\"tag\"";

// The status, and of a 206 its ranges; of a representation of 100 bytes.
std::string answered(std::vector<http::Field> fields, Method method = Method::get) {
    test::FakeRequest request;
    request.verb = method;
    request.fields = std::move(fields);
    const RangeRequest asked(request);
    try {
        if (asked.is_known(kTag, kTime, "the file")) return "304";
    } catch (const Error& error) {
        return error.detail();
    }
    const Ranges ranges = asked.ranges(kTag, kTime, 100);
    if (ranges.kind == Ranges::Kind::whole) return "200";
    if (ranges.kind == Ranges::Kind::unsatisfiable) return "416";
    std::string text = "206";
    for (const ByteRange& range : ranges.parts) text += " " + content_range(range, 100);
    return text;
}

class RangeRequestTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RangeRequestTest);
    CPPUNIT_TEST(sends_what_the_client_has_not);
    CPPUNIT_TEST(refuses_what_is_another);
    CPPUNIT_TEST(sends_ranges);
    CPPUNIT_TEST(ranges_are_of_the_same_representation);
    CPPUNIT_TEST(tells_of_a_range_beyond_the_end);
    CPPUNIT_TEST_SUITE_END();

public:
    void sends_what_the_client_has_not() {
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({}));
        CPPUNIT_ASSERT_EQUAL(std::string("304"), answered({{"If-None-Match", "\"a\", W/\"tag\""}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({{"If-None-Match", "\"other\""}}));
        CPPUNIT_ASSERT_EQUAL(std::string("304"), answered({{"If-Modified-Since", kDate}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({{"If-Modified-Since", kEarlier}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({{"If-Modified-Since", "yesterday"}}));
        // §13.1.3: passed over beside If-None-Match.
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({{"If-None-Match", "\"other\""},
                                                           {"If-Modified-Since", kDate}}));
        CPPUNIT_ASSERT_EQUAL(std::string("304"),
                             answered({{"If-Modified-Since", kDate}, {"Range", "bytes=0-0"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("304"), answered({{"If-None-Match", "*"}}, Method::head));
    }

    void refuses_what_is_another() {
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({{"If-Match", "\"tag\""}}));
        CPPUNIT_ASSERT_EQUAL(std::string("if-match does not hold for the file"),
                             answered({{"If-Match", "\"other\""}, {"Range", "bytes=0-0"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("if-unmodified-since does not hold for the file"),
                             answered({{"If-Unmodified-Since", kEarlier}}));
    }

    void sends_ranges() {
        CPPUNIT_ASSERT_EQUAL(std::string("206 bytes 10-14/100"),
                             answered({{"Range", "bytes=10-14"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("206 bytes 0-0/100 bytes 99-99/100"),
                             answered({{"Range", "bytes=0-0,-1"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("416"), answered({{"Range", "bytes=100-"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({{"Range", "lines=1-2"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             answered({{"Range", "bytes=10-14"}}, Method::head));
    }

    void ranges_are_of_the_same_representation() {
        const auto with = [](const std::string& if_range) {
            return answered({{"Range", "bytes=0-0"}, {"If-Range", if_range}});
        };
        CPPUNIT_ASSERT_EQUAL(std::string("206 bytes 0-0/100"), with("\"tag\""));
        CPPUNIT_ASSERT_EQUAL(std::string("206 bytes 0-0/100"), with(kDate));
        for (const std::string& other : {std::string("W/\"tag\""), std::string("\"other\""),
                                         kEarlier, std::string("Mon, 07 Nov 1994 08:49:37 GMT")}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(other, std::string("200"), with(other));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("200"), answered({{"If-Range", "\"tag\""}}));
    }

    void tells_of_a_range_beyond_the_end() {
        test::FakeRequest request;
        request.verb = Method::get;
        request.fields = {{"Range", "bytes=100-"}};
        const Response told = RangeRequest(request).unsatisfiable(100, "the file");
        CPPUNIT_ASSERT_EQUAL(416, told.status);
        CPPUNIT_ASSERT_EQUAL(std::string("bytes */100"), told.headers.back().second);
        CPPUNIT_ASSERT(std::get<std::string>(told.body).find(
                           "no range asked for lies in the file") != std::string::npos);
    }
};

LARDER_TEST_SUITE(RangeRequestTest);

}  // namespace
}  // namespace larder::storage
