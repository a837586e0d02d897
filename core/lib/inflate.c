/* The one place that knows zlib: gzip and zlib streams, and members of zip archives. */
#include <assay/source.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LIMIT ((size_t)1 << 31)          /* no data set here is near it; what is beyond is an attack or an accident */
enum { RAW = -MAX_WBITS, GZIP_OR_ZLIB = MAX_WBITS + 32 };

struct output { unsigned char *data; size_t n, room; };

/* Room for more than is there: the buffer follows what really came out, never what a header announces. */
static const char *widen(struct output *out)
{
    if (out->n < out->room)
        return NULL;
    if (out->room >= LIMIT)
        return as_say("more than %zu MiB when unpacked", LIMIT >> 20);
    size_t room = out->room ? 2 * out->room : (size_t)1 << 16;
    unsigned char *data = realloc(out->data, room);
    if (!data)
        return as_say("out of memory while unpacking");
    out->data = data;
    out->room = room;
    return NULL;
}

/* Unpacks one stream from the front of *in. */
static const char *one_stream(struct as_bytes *in, int window, struct output *out)
{
    z_stream z = { .next_in = (z_const Bytef *)in->data };
    const unsigned char *end = in->data + in->n;
    const char *why = NULL;
    int status = inflateInit2(&z, window);
    if (status != Z_OK)
        return as_say("out of memory while unpacking");
    while (status != Z_STREAM_END && !why && !(why = widen(out))) {
        size_t left = (size_t)(end - z.next_in), room = out->room - out->n;
        z.avail_in = left > 1 << 30 ? 1 << 30 : (uInt)left;
        z.avail_out = room > 1 << 30 ? 1 << 30 : (uInt)room;
        z.next_out = out->data + out->n;
        status = inflate(&z, Z_NO_FLUSH);
        out->n = (size_t)(z.next_out - out->data);
        if (status == Z_BUF_ERROR || (status == Z_OK && z.next_in == end && z.avail_out > 0))
            why = as_say("the compressed data are truncated");
        else if (status == Z_MEM_ERROR)
            why = as_say("out of memory while unpacking");
        else if (status != Z_OK && status != Z_STREAM_END)
            why = as_say("the compressed data are damaged (%s)", z.msg ? z.msg : "no zlib or gzip stream");
    }
    in->n = (size_t)(end - z.next_in);
    in->data = z.next_in;
    inflateEnd(&z);
    return why;
}

static uint32_t little(const unsigned char *p, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint32_t)p[i] << 8 * i;
    return v;
}

/* The central directory entry of a member; NULL when there is none. */
static const unsigned char *directory_entry(struct as_bytes zip, const char *member, const char **why)
{
    enum { END = 22, ENTRY = 46, COMMENT = 65535 };
    size_t at = zip.n < END ? 0 : zip.n - END, lowest = at > COMMENT ? at - COMMENT : 0, length = strlen(member);
    *why = as_say("not a zip archive, or truncated");
    if (zip.n < END)
        return NULL;
    while (memcmp(zip.data + at, "PK\5\6", 4) != 0)
        if (at-- == lowest)
            return NULL;
    size_t count = little(zip.data + at + 10, 2), p = little(zip.data + at + 16, 4);
    for (; count > 0; count--) {
        if (p > zip.n || zip.n - p < ENTRY || memcmp(zip.data + p, "PK\1\2", 4) != 0)
            return NULL;
        size_t name = little(zip.data + p + 28, 2);
        if (zip.n - p - ENTRY < name)
            return NULL;
        if (name == length && memcmp(zip.data + p + ENTRY, member, length) == 0)
            return zip.data + p;
        p += ENTRY + name + little(zip.data + p + 30, 2) + little(zip.data + p + 32, 2);
    }
    *why = as_say("the archive has no member %s", member);
    return NULL;
}

static const char *unzip(struct as_bytes zip, const char *member, struct output *out)
{
    enum { LOCAL = 30, STORED = 0, DEFLATED = 8 };
    const char *why;
    const unsigned char *entry = directory_entry(zip, member, &why);
    if (!entry)
        return why;
    uint32_t method = little(entry + 10, 2), crc = little(entry + 16, 4);
    size_t packed = little(entry + 20, 4), size = little(entry + 24, 4), p = little(entry + 42, 4);
    if (p > zip.n || zip.n - p < LOCAL || memcmp(zip.data + p, "PK\3\4", 4) != 0)
        return as_say("the archive is damaged or truncated at member %s", member);
    size_t head = LOCAL + (size_t)little(zip.data + p + 26, 2) + little(zip.data + p + 28, 2);
    if (zip.n - p < head || zip.n - p - head < packed || (little(entry + 8, 2) & 1))
        return as_say("member %s of the archive is truncated, or encrypted", member);
    struct as_bytes body = { zip.data + p + head, packed };
    if (method == STORED && packed == size) {
        out->data = malloc(size + 1);
        if (!out->data)
            return as_say("out of memory while unpacking");
        memcpy(out->data, body.data, size);
        out->n = size;
    } else if (method != DEFLATED) {
        return as_say("member %s of the archive is packed by a method (%u) not read here", member, (unsigned)method);
    } else if ((why = one_stream(&body, RAW, out)) != NULL) {
        return why;
    }
    if (out->n != size || crc32_z(0, out->data, out->n) != crc)
        return as_say("member %s of the archive is damaged: wrong checksum", member);
    return NULL;
}

unsigned char *as_inflate(struct as_bytes packed, const char *member, size_t *n, const char **why)
{
    struct output out = { 0 };
    *n = 0;
    if (member) {
        *why = unzip(packed, member, &out);
    } else {
        *why = one_stream(&packed, GZIP_OR_ZLIB, &out);
        while (!*why && packed.n >= 2 && packed.data[0] == 0x1f && packed.data[1] == 0x8b)
            *why = one_stream(&packed, GZIP_OR_ZLIB, &out);          /* gzip files may be put end to end */
        for (size_t i = 0; !*why && i < packed.n; i++)
            if (packed.data[i] != 0)
                *why = as_say("the compressed data are followed by something else");
    }
    if (*why) {
        free(out.data);
        return NULL;
    }
    *n = out.n;
    return out.data;
}
