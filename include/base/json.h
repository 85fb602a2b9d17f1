/* SPDX-License-Identifier: MIT */
/*
 * Writing JSON into a strbuf, one way for everybody. Parsing is json-c's business, not ours.
 *
 *	json_begin(&js, &out);
 *	json_object_begin(&js, NULL);
 *	json_u64(&js, "pid", pid);
 *	json_object_end(&js);
 *	json_end(&js);
 *
 * Inside an object every value has a @key, inside an array and at the top it is NULL. Nesting that
 * does not match is our bug and asserted. Output is indented by tabs; it is cut where the strbuf is
 * full: ask out->overflow.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/compiler.h"
#include "base/strbuf.h"

#define JSON_DEPTH_MAX 16

struct json {
	struct strbuf *out;
	unsigned int depth;
	bool is_one_line;
	struct {
		bool is_object;
		bool has_members;
	} levels[JSON_DEPTH_MAX];
};

/* json_begin - one document into @out; json_end adds the final newline. */
void json_begin(struct json *js, struct strbuf *out);
/* json_begin_line - the same without line breaks inside: for protocols of one line a message. */
void json_begin_line(struct json *js, struct strbuf *out);
void json_end(struct json *js);

void json_object_begin(struct json *js, const char *key);
void json_object_end(struct json *js);
void json_array_begin(struct json *js, const char *key);
void json_array_end(struct json *js);

/* json_string - @text may hold any bytes; what is not UTF-8 comes out as U+FFFD. NULL is null. */
void json_string(struct json *js, const char *key, const char *text);
void json_u64(struct json *js, const char *key, uint64_t value);
void json_i64(struct json *js, const char *key, int64_t value);
/* json_double - with the digits it needs; what is not finite is null. */
void json_double(struct json *js, const char *key, double value);
void json_boolean(struct json *js, const char *key, bool value);
void json_null(struct json *js, const char *key);

#endif
