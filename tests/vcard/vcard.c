/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A sound card without hardware, as a plugin of libasound. It samples and plays in real time, so a program that uses
 * it runs its real ALSA code; but its microphone hears a file, and its loudspeaker plays into a file.
 *
 * All cards of a test stand in one virtual world. World sample w is the moment `epoch + w / 48000 s` of CLOCK_MONOTONIC.
 * A microphone hears sample w of its file at world sample w, and what a loudspeaker plays at world sample w becomes
 * sample w of its file. So the time from a mouth to an ear is the shift between two files, exact to the sample,
 * whatever the load on the machine does to the programs in between. The cards themselves add no delay.
 *
 *   pcm.NAME {
 *       type vcard
 *       epoch FILE        # holds the epoch, in nanoseconds of CLOCK_MONOTONIC; read when the card is opened
 *       infile FILE       # what a capture stream hears: 16 bit, mono, raw; before and after it there is silence
 *       outfile FILE      # what a playback stream plays: 16 bit, mono, raw; of two channels the first is kept
 *       ppm N             # the card's own clock is N millionths fast (default 0)
 *       quantum N         # the card tells its position in steps of N samples (default 1)
 *       lifetime N        # N ms after it was opened the card stands still, as if pulled out unnoticed (default 0: never)
 *       log FILE          # gets a line per start, stop, underrun, overrun and late write
 *   }
 *
 * As with hardware, interrupts (here a timer) come at the ends of periods only, a stream that is not served in time
 * stops with an over- or underrun, and samples written after their turn or dropped before it are never heard.
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RATE 48000
#define NANOS 1000000000LL
#define MAX_CHANNELS 2
#define MIN_PERIOD 64
#define MAX_PERIOD 96000
#define MAX_BUFFER 192000
#define SAMPLE_BYTES ((int64_t)sizeof(int16_t))

/* One stream. libasound holds a lock while it calls the functions below, so they need none. */
struct card {
	snd_pcm_ioplug_t io;
	int timer;         /* the interrupt: readable when it is time to look */
	int sound;         /* infile or outfile; -1 for silence */
	int log;           /* -1 for none */
	int64_t epoch_ns;  /* moment of world sample 0 */
	double speed;      /* samples of this card per sample of the world, about 1 */
	int64_t quantum;
	int64_t dies_ns;   /* the moment it stands still */
	int64_t avail_min; /* an interrupt is wanted when so much can be read or written */
	int64_t stop_at;   /* so much to be read or written is an over- or underrun */
	int16_t *queue;    /* what was written before the start, as long as the buffer */
	int16_t *mono;     /* one transfer in samples of the card */
	int16_t *mapped;   /* the same in samples of the world */
	bool running;
	int64_t start_ns;  /* moment of the stream's sample 0 */
	int64_t start;     /* the world sample of that moment */
};

static bool is_capture(const struct card *card)
{
	return card->io.stream == SND_PCM_STREAM_CAPTURE;
}

/* ---- The clock ------------------------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NANOS + now.tv_nsec;
}

/* The world sample of a moment. */
static int64_t world_at(const struct card *card, int64_t moment_ns)
{
	return (int64_t)floor((double)(moment_ns - card->epoch_ns) * RATE / NANOS);
}

/* How many samples the running stream has captured or played by now. */
static int64_t position(const struct card *card)
{
	int64_t now = now_ns();
	if (now > card->dies_ns)
		now = card->dies_ns;
	return now <= card->start_ns ? 0 : (int64_t)floor((double)(now - card->start_ns) * RATE / NANOS * card->speed);
}

/* The same as the card tells it. */
static int64_t told_position(const struct card *card)
{
	int64_t exact = position(card);
	return exact - exact % card->quantum;
}

/* The moment at which the running stream gets to `position`. */
static int64_t moment_of(const struct card *card, int64_t position)
{
	return card->start_ns + (int64_t)ceil((double)position / card->speed * NANOS / RATE) + 1;
}

/* ---- The world's sound ----------------------------------------------------------------------------------------- */

/* Adds a line to the log: the world sample, the stream, and what happened. */
static void note(const struct card *card, int64_t moment_ns, const char *event)
{
	char line[100];
	if (card->log < 0)
		return;
	int length = snprintf(line, sizeof line, "%" PRId64 " %s %s\n", world_at(card, moment_ns),
	                      is_capture(card) ? "capture" : "playback", event);
	if (write(card->log, line, length) != length)
		SNDERR("cannot write the log of a virtual card");
}

/* What is heard from world sample `from` on. */
static void hear(const struct card *card, int64_t from, int16_t *samples, int64_t count)
{
	int64_t early = from < 0 ? -from : 0; /* samples from before the world began */
	memset(samples, 0, count * SAMPLE_BYTES);
	if (card->sound < 0 || early >= count)
		return;
	if (pread(card->sound, samples + early, (count - early) * SAMPLE_BYTES, (from + early) * SAMPLE_BYTES) < 0)
		SNDERR("cannot read what a virtual microphone hears: %s", strerror(errno));
}

/* Is heard from world sample `from` on. */
static void sound(const struct card *card, int64_t from, const int16_t *samples, int64_t count)
{
	int64_t early = from < 0 ? -from : 0;
	if (card->sound < 0 || early >= count)
		return;
	if (pwrite(card->sound, samples + early, (count - early) * SAMPLE_BYTES, (from + early) * SAMPLE_BYTES) < 0)
		SNDERR("cannot write what a virtual loudspeaker plays: %s", strerror(errno));
}

/* Captures the stream's samples from `first` on. A card that is too fast takes some samples of the world twice, and one
 * that is too slow leaves some out. */
static void capture(struct card *card, int64_t first, int16_t *samples, int64_t count)
{
	if (card->speed == 1.0) {
		hear(card, card->start + first, samples, count);
		return;
	}
	int64_t from = (int64_t)floor((double)first / card->speed);
	int64_t to = (int64_t)floor((double)(first + count - 1) / card->speed);
	hear(card, card->start + from, card->mapped, to - from + 1);
	for (int64_t i = 0; i < count; i++)
		samples[i] = card->mapped[(int64_t)floor((double)(first + i) / card->speed) - from];
}

/* Plays the stream's samples from `first` on; the counterpart of `capture`. */
static void play(struct card *card, int64_t first, const int16_t *samples, int64_t count)
{
	if (card->speed == 1.0) {
		sound(card, card->start + first, samples, count);
		return;
	}
	int64_t from = (int64_t)ceil((double)first / card->speed);
	int64_t end = (int64_t)ceil((double)(first + count) / card->speed);
	for (int64_t world = from; world < end; world++) {
		int64_t i = (int64_t)floor((double)world * card->speed) - first;
		card->mapped[world - from] = samples[i < 0 ? 0 : i >= count ? count - 1 : i];
	}
	sound(card, card->start + from, card->mapped, end - from);
}

/* ---- Interrupts ------------------------------------------------------------------------------------------------ */

/* Makes the timer readable at `moment_ns` and not before; 0 is never. */
static void interrupt_at(const struct card *card, int64_t moment_ns)
{
	struct itimerspec once = { .it_value = { moment_ns / NANOS, moment_ns % NANOS } };
	timerfd_settime(card->timer, TFD_TIMER_ABSTIME, &once, NULL);
}

static void interrupt_now(const struct card *card)
{
	interrupt_at(card, 1);
}

static int64_t round_up(int64_t value, int64_t step)
{
	return (value + step - 1) / step * step;
}

/* Interrupts when a running stream whose program has come to sample `served` wants to be served again. */
static void interrupt_when_wanted(const struct card *card, int64_t served)
{
	int64_t wanted = served + card->avail_min;
	if (card->io.state == SND_PCM_STATE_DRAINING)
		wanted = served;
	else if (!is_capture(card))
		wanted -= card->io.buffer_size;
	wanted = round_up(round_up(wanted > 0 ? wanted : 0, card->io.period_size), card->quantum);
	int64_t moment = moment_of(card, wanted);
	interrupt_at(card, moment <= card->dies_ns ? moment : 0);
}

/* How much could be read or written if the card were at `position`. */
static int64_t available(const struct card *card, int64_t position)
{
	int64_t ahead = position - (int64_t)card->io.appl_ptr;
	return is_capture(card) ? ahead : (int64_t)card->io.buffer_size + ahead;
}

/* ---- What libasound asks of a card ----------------------------------------------------------------------------- */

static int card_start(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	card->start_ns = now_ns();
	card->start = world_at(card, card->start_ns);
	card->running = true;
	note(card, card->start_ns, "start");
	if (!is_capture(card))
		play(card, 0, card->queue, io->appl_ptr);
	interrupt_when_wanted(card, io->appl_ptr);
	return 0;
}

/* Ends the stream; what was to be played later is taken back. */
static void halt(struct card *card, const char *reason)
{
	if (!card->running)
		return;
	int64_t played = position(card), left = (int64_t)card->io.appl_ptr - played;
	card->running = false;
	note(card, now_ns(), reason);
	if (is_capture(card) || left <= 0)
		return;
	memset(card->mono, 0, left * SAMPLE_BYTES);
	play(card, played, card->mono, left);
}

static int card_stop(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	halt(card, "stop");
	interrupt_at(card, 0);
	return 0;
}

/* Stops the stream if it was not served in time. */
static bool has_run_over(struct card *card, int64_t position)
{
	if (card->io.state == SND_PCM_STATE_DRAINING || available(card, position) < card->stop_at)
		return false;
	halt(card, is_capture(card) ? "overrun" : "underrun");
	interrupt_now(card);
	return true;
}

static snd_pcm_sframes_t card_pointer(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	if (!card->running)
		return 0;
	int64_t at = told_position(card);
	if (has_run_over(card, at))
		return -EPIPE;
	if (io->state == SND_PCM_STATE_DRAINING && at > (int64_t)io->appl_ptr)
		return io->appl_ptr;
	return at;
}

static int card_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
	struct card *card = io->private_data;
	snd_pcm_sframes_t at = io->state == SND_PCM_STATE_XRUN ? -EPIPE : card_pointer(io);
	if (at < 0) {
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
		return -EPIPE;
	}
	*delay = is_capture(card) ? at - (snd_pcm_sframes_t)io->appl_ptr : (snd_pcm_sframes_t)io->appl_ptr - at;
	return 0;
}

/* Where a channel's sample of frame `offset` is. The format leaves whole bytes only. */
static int16_t *sample_at(const snd_pcm_channel_area_t *area, snd_pcm_uframes_t offset)
{
	return (int16_t *)((char *)area->addr + (area->first + area->step * offset) / 8);
}

static void transfer_captured(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
                              snd_pcm_uframes_t count)
{
	capture(card, card->io.appl_ptr, card->mono, count);
	for (unsigned int channel = 0; channel < card->io.channels; channel++)
		for (snd_pcm_uframes_t i = 0; i < count; i++)
			*sample_at(&areas[channel], offset + i) = card->mono[i];
}

static void transfer_played(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
                            snd_pcm_uframes_t count)
{
	int64_t first = card->io.appl_ptr, late = 0;
	int16_t *into = card->running ? card->mono : card->queue + first;
	for (snd_pcm_uframes_t i = 0; i < count; i++)
		into[i] = *sample_at(&areas[0], offset + i);
	if (!card->running)
		return;
	if (position(card) > first) {
		late = position(card) - first;
		note(card, now_ns(), "late");
	}
	if (late < (int64_t)count)
		play(card, first + late, into + late, count - late);
}

/* Moves at most one buffer between the program and the card. */
static snd_pcm_sframes_t card_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                       snd_pcm_uframes_t offset, snd_pcm_uframes_t count)
{
	struct card *card = io->private_data;
	snd_pcm_uframes_t queued = is_capture(card) || card->running ? 0 : io->appl_ptr;
	if (count > io->buffer_size - queued)
		count = io->buffer_size - queued;
	if (is_capture(card))
		transfer_captured(card, areas, offset, count);
	else
		transfer_played(card, areas, offset, count);
	if (card->running)
		interrupt_when_wanted(card, io->appl_ptr + count);
	return count;
}

static int card_prepare(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	halt(card, "stop");
	if (is_capture(card))
		interrupt_at(card, 0);
	else
		interrupt_now(card);
	return 0;
}

/* Says whether a readable timer means something to the program. */
static int card_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *revents)
{
	struct card *card = io->private_data;
	unsigned short ready = is_capture(card) ? POLLIN : POLLOUT;
	*revents = 0;
	if (count < 1 || !(fds[0].revents & POLLIN))
		return 0;
	snd_pcm_sframes_t at = card_pointer(io);
	if (at < 0)
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
	if (io->state == SND_PCM_STATE_XRUN)
		*revents = ready | POLLERR;
	else if (io->state == SND_PCM_STATE_DRAINING ? at >= (int64_t)io->appl_ptr : available(card, at) >= card->avail_min)
		*revents = ready;
	else if (card->running)
		interrupt_when_wanted(card, io->appl_ptr);
	else
		interrupt_at(card, 0);
	return 0;
}

static bool resize(int16_t **samples, snd_pcm_uframes_t count)
{
	free(*samples);
	*samples = calloc(count, SAMPLE_BYTES);
	return *samples;
}

static int card_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
	struct card *card = io->private_data;
	snd_pcm_uframes_t buffer;
	int error = snd_pcm_hw_params_get_buffer_size(params, &buffer);
	if (error < 0)
		return error;
	/* Twice, because a buffer of a slow card is more than that of the world. */
	bool enough = resize(&card->queue, buffer * 2) && resize(&card->mono, buffer * 2) &&
	              resize(&card->mapped, buffer * 2);
	return enough ? 0 : -ENOMEM;
}

static int card_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
	struct card *card = io->private_data;
	snd_pcm_uframes_t avail_min, stop_at;
	int error = snd_pcm_sw_params_get_avail_min(params, &avail_min);
	if (error >= 0)
		error = snd_pcm_sw_params_get_stop_threshold(params, &stop_at);
	if (error < 0)
		return error;
	card->avail_min = avail_min;
	card->stop_at = stop_at;
	return 0;
}

static int card_close(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	int files[] = { card->timer, card->sound, card->log };
	halt(card, "stop");
	for (int i = 0; i < 3; i++)
		if (files[i] >= 0)
			close(files[i]);
	free(card->queue);
	free(card->mono);
	free(card->mapped);
	free(card);
	return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
	.start = card_start,
	.stop = card_stop,
	.pointer = card_pointer,
	.transfer = card_transfer,
	.close = card_close,
	.hw_params = card_hw_params,
	.sw_params = card_sw_params,
	.prepare = card_prepare,
	.poll_revents = card_poll_revents,
	.delay = card_delay,
};

/* ---- Opening --------------------------------------------------------------------------------------------------- */

/* The card's section of the configuration. The strings belong to libasound. */
struct settings {
	const char *epoch, *infile, *outfile, *log;
	long ppm, quantum, lifetime;
};

static int read_setting(struct settings *settings, const char *key, snd_config_t *value)
{
	struct { const char *key; const char **into; } strings[] = {
		{ "epoch", &settings->epoch },
		{ "infile", &settings->infile },
		{ "outfile", &settings->outfile },
		{ "log", &settings->log },
	};
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
		if (!strcmp(key, strings[i].key))
			return snd_config_get_string(value, strings[i].into);
	struct { const char *key; long *into; } numbers[] = {
		{ "ppm", &settings->ppm },
		{ "quantum", &settings->quantum },
		{ "lifetime", &settings->lifetime },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (!strcmp(key, numbers[i].key))
			return snd_config_get_integer(value, numbers[i].into);
	return !strcmp(key, "type") || !strcmp(key, "comment") || !strcmp(key, "hint") ? 0 : -EINVAL;
}

static int read_settings(struct settings *settings, snd_config_t *section)
{
	snd_config_iterator_t each, next;
	snd_config_for_each(each, next, section) {
		snd_config_t *value = snd_config_iterator_entry(each);
		const char *key;
		if (snd_config_get_id(value, &key) < 0)
			continue;
		int error = read_setting(settings, key, value);
		if (error < 0) {
			SNDERR("a virtual card does not know this setting, or not this value of it: %s", key);
			return error;
		}
	}
	if (settings->quantum < 1 || labs(settings->ppm) > 10000 || !settings->epoch) {
		SNDERR("a virtual card needs an epoch, a quantum of 1 or more, and a ppm within 10000");
		return -EINVAL;
	}
	return 0;
}

static int read_epoch(struct card *card, const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	int found = fscanf(file, "%" SCNd64, &card->epoch_ns);
	fclose(file);
	return found == 1 ? 0 : -EINVAL;
}

/* Opens the file at `path` into `*fd`; no path leaves it at -1. */
static int open_file(int *fd, const char *path, int flags)
{
	if (!path)
		return 0;
	*fd = open(path, flags | O_CLOEXEC, 0644);
	return *fd < 0 ? -errno : 0;
}

static int set_up(struct card *card, const struct settings *settings, snd_pcm_stream_t stream)
{
	bool capture = stream == SND_PCM_STREAM_CAPTURE;
	card->speed = 1.0 + (double)settings->ppm / 1e6;
	card->quantum = settings->quantum;
	card->dies_ns = settings->lifetime > 0 ? now_ns() + settings->lifetime * (NANOS / 1000) : INT64_MAX;
	card->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (card->timer < 0)
		return -errno;
	int error = read_epoch(card, settings->epoch);
	if (!error)
		error = open_file(&card->log, settings->log, O_WRONLY | O_CREAT | O_APPEND);
	if (!error)
		error = capture ? open_file(&card->sound, settings->infile, O_RDONLY)
		                : open_file(&card->sound, settings->outfile, O_WRONLY | O_CREAT);
	return error;
}

/* What the card can do: 16 bit at 48 kHz, one channel or two. */
static int constrain(snd_pcm_ioplug_t *io)
{
	const unsigned int access = SND_PCM_ACCESS_RW_INTERLEAVED, format = SND_PCM_FORMAT_S16_LE;
	const struct { int kind; unsigned int least, most; } ranges[] = {
		{ SND_PCM_IOPLUG_HW_CHANNELS, 1, MAX_CHANNELS },
		{ SND_PCM_IOPLUG_HW_RATE, RATE, RATE },
		{ SND_PCM_IOPLUG_HW_PERIOD_BYTES, MIN_PERIOD * SAMPLE_BYTES, MAX_PERIOD * MAX_CHANNELS * SAMPLE_BYTES },
		{ SND_PCM_IOPLUG_HW_BUFFER_BYTES, 2 * MIN_PERIOD * SAMPLE_BYTES, MAX_BUFFER * MAX_CHANNELS * SAMPLE_BYTES },
		{ SND_PCM_IOPLUG_HW_PERIODS, 2, 64 },
	};
	int error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 1, &access);
	if (error >= 0)
		error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, &format);
	for (size_t i = 0; error >= 0 && i < sizeof ranges / sizeof *ranges; i++)
		error = snd_pcm_ioplug_set_param_minmax(io, ranges[i].kind, ranges[i].least, ranges[i].most);
	return error;
}

/* libasound calls this to open a card: `_snd_pcm_vcard_open`. */
SND_PCM_PLUGIN_DEFINE_FUNC(vcard)
{
	struct settings settings = { .quantum = 1 };
	(void)root;
	int error = read_settings(&settings, conf);
	if (error < 0)
		return error;
	struct card *card = calloc(1, sizeof *card);
	if (!card)
		return -ENOMEM;
	card->timer = card->sound = card->log = -1;
	card->io = (snd_pcm_ioplug_t) {
		.version = SND_PCM_IOPLUG_VERSION,
		.name = "virtual card",
		.flags = SND_PCM_IOPLUG_FLAG_MONOTONIC | SND_PCM_IOPLUG_FLAG_BOUNDARY_WA,
		.poll_events = POLLIN,
		.callback = &callbacks,
		.private_data = card,
	};
	error = set_up(card, &settings, stream);
	card->io.poll_fd = card->timer;
	if (error >= 0)
		error = snd_pcm_ioplug_create(&card->io, name, stream, mode);
	if (error < 0) {
		card_close(&card->io);
		return error;
	}
	error = constrain(&card->io);
	if (error < 0) {
		snd_pcm_ioplug_delete(&card->io); /* calls card_close */
		return error;
	}
	*pcmp = card->io.pcm;
	return 0;
}

SND_PCM_PLUGIN_SYMBOL(vcard);
