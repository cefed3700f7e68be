/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An ideal sound card without hardware, as an ALSA ioplug plugin, for tests and measurements.
 *
 * Every card of a test shares one clock, the world clock: sample k of the world happens k / 48000 s after the epoch, a
 * CLOCK_MONOTONIC value in nanoseconds read from a file. A microphone hears sample k of its input file at world sample
 * k (the file repeats); a loudspeaker writes what it plays at world sample k to place k of its output file, and an
 * underrun leaves zeros there. The card itself adds no delay. So the time from one card's microphone to another's
 * loudspeaker is simply how far the output file is shifted against the input file, exact to a sample.
 *
 *   pcm_type.vcard { lib "/path/to/libasound_module_pcm_vcard.so" }
 *   pcm.NAME { type vcard  epoch "FILE"  infile "RAW"  outfile "RAW"  [quantum FRAMES]  [ppm N]  [lifetime MS] }
 *
 * Files are raw signed 16 bit, mono, 48 kHz; of a stereo playback stream the first channel is kept. `quantum` makes the
 * hardware pointer move in steps, `ppm` makes the card's crystal too fast or too slow. After `lifetime` since it was
 * opened the card freezes, as hardware does that was pulled out under a driver that does not notice.
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RATE 48000
#define NANOS 1000000000LL
/* Samples that may be written before a loudspeaker starts: kept until their place in the world is known. */
#define BEFORE_START 48000

struct card {
    snd_pcm_ioplug_t io;
    int timer;
    long long epoch;          /* ns */
    long quantum;             /* frames */
    double speed;             /* 1 plus the error of the crystal */
    long long dies;           /* ns */
    int running;
    long long started;        /* ns */
    long long first_sample;   /* world sample at position 0 */
    const int16_t *input;
    size_t input_length;      /* samples */
    int output;               /* file descriptor or -1 */
    int16_t *before_start;
};

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * NANOS + time.tv_nsec;
}

/* Frames the hardware has moved on since it started. */
static long long position(const struct card *card)
{
    if (!card->running)
        return 0;
    long long time = now() < card->dies ? now() : card->dies;
    if (time < card->started)
        return 0;
    long long frames = (long long)((double)(time - card->started) * RATE * card->speed / NANOS);
    return card->quantum > 1 ? frames - frames % card->quantum : frames;
}

static int is_playback(const snd_pcm_ioplug_t *io)
{
    return io->stream == SND_PCM_STREAM_PLAYBACK;
}

/* Captured and unread, or written and unplayed; negative or above the buffer size after an xrun. */
static long long filled(const struct card *card)
{
    long long written = (long long)card->io.appl_ptr;
    return is_playback(&card->io) ? written - position(card) : position(card) - written;
}

/* Fires every `nanos` from now on; 0 stops it. */
static void set_timer(struct card *card, long long nanos)
{
    struct itimerspec timer = {{0, 0}, {0, 0}};
    timer.it_interval.tv_sec = nanos / NANOS;
    timer.it_interval.tv_nsec = nanos % NANOS;
    timer.it_value = timer.it_interval;
    timerfd_settime(card->timer, 0, &timer, NULL);
}

/* Fires once, at once: something must be looked at. */
static void fire_timer(struct card *card)
{
    struct itimerspec timer = {{0}, {0, 1}};
    timerfd_settime(card->timer, 0, &timer, NULL);
}

static void write_output(const struct card *card, const int16_t *samples, size_t count, long long place)
{
    if (card->output >= 0 && place >= 0 && pwrite(card->output, samples, count * 2, place * 2) < 0)
        SNDERR("cannot write the output file");
}

static int vcard_start(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    card->started = now();
    card->first_sample = (card->started - card->epoch) * RATE / NANOS;
    card->running = 1;
    set_timer(card, (long long)io->period_size * NANOS / RATE);
    if (is_playback(io) && io->appl_ptr > 0) {
        size_t count = io->appl_ptr < BEFORE_START ? io->appl_ptr : BEFORE_START;
        write_output(card, card->before_start, count, card->first_sample);
    }
    return 0;
}

static int vcard_stop(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    card->running = 0;
    set_timer(card, 0);
    return 0;
}

static int vcard_prepare(snd_pcm_ioplug_t *io)
{
    vcard_stop(io);
    if (is_playback(io))
        fire_timer(io->private_data);
    return 0;
}

static snd_pcm_sframes_t vcard_pointer(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    if (!card->running)
        return 0;
    long long fill = filled(card);
    int xrun = is_playback(io) ? fill < 0 : fill > (long long)io->buffer_size;
    if (xrun) {
        card->running = 0;
        fire_timer(card);
        return -EPIPE;
    }
    return position(card);
}

static int vcard_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
    *delay = filled(io->private_data);
    return 0;
}

/* The place of frame `frame` of channel `channel` in the application's buffer. */
static int16_t *sample_at(const snd_pcm_channel_area_t *areas, unsigned channel, snd_pcm_uframes_t frame)
{
    const snd_pcm_channel_area_t *area = &areas[channel];
    return (int16_t *)((char *)area->addr + (area->first + area->step * frame) / 8);
}

static void capture(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
                    snd_pcm_uframes_t size)
{
    for (snd_pcm_uframes_t i = 0; i < size; i++) {
        long long world = card->first_sample + (long long)(card->io.appl_ptr + i);
        int16_t heard = card->input_length && world >= 0 ? card->input[world % (long long)card->input_length] : 0;
        for (unsigned channel = 0; channel < card->io.channels; channel++)
            *sample_at(areas, channel, offset + i) = heard;
    }
}

static void play(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
                 snd_pcm_uframes_t size)
{
    snd_pcm_uframes_t place = card->io.appl_ptr;
    int16_t samples[size];
    for (snd_pcm_uframes_t i = 0; i < size; i++)
        samples[i] = *sample_at(areas, 0, offset + i);
    if (card->running)
        write_output(card, samples, size, card->first_sample + (long long)place);
    else
        for (snd_pcm_uframes_t i = 0; i < size && place + i < BEFORE_START; i++)
            card->before_start[place + i] = samples[i];
}

static snd_pcm_sframes_t vcard_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                        snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    struct card *card = io->private_data;
    if (is_playback(io))
        play(card, areas, offset, size);
    else
        capture(card, areas, offset, size);
    return (snd_pcm_sframes_t)size;
}

static long long wake_threshold(snd_pcm_ioplug_t *io)
{
    snd_pcm_uframes_t threshold = 1;
    snd_pcm_sw_params_t *params;
    snd_pcm_sw_params_alloca(&params);
    if (snd_pcm_sw_params_current(io->pcm, params) == 0)
        snd_pcm_sw_params_get_avail_min(params, &threshold);
    return (long long)threshold;
}

static int vcard_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned count, unsigned short *events)
{
    struct card *card = io->private_data;
    *events = 0;
    if (count == 0 || !(fds[0].revents & POLLIN))
        return 0;
    long long available = is_playback(io) ? (long long)io->buffer_size - filled(card) : filled(card);
    if (card->running && available < wake_threshold(io)) {
        uint64_t expirations;
        if (read(card->timer, &expirations, sizeof expirations) < 0)
            return 0;
        return 0;
    }
    *events = is_playback(io) ? POLLOUT : POLLIN;
    if (!card->running && io->state != SND_PCM_STATE_PREPARED)
        *events |= POLLERR;
    return 0;
}

static void free_card(struct card *card)
{
    if (card->output >= 0)
        close(card->output);
    if (card->timer >= 0)
        close(card->timer);
    if (card->input)
        munmap((void *)card->input, card->input_length * 2);
    free(card->before_start);
    free(card);
}

static int vcard_close(snd_pcm_ioplug_t *io)
{
    free_card(io->private_data);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = vcard_start,
    .stop = vcard_stop,
    .prepare = vcard_prepare,
    .pointer = vcard_pointer,
    .delay = vcard_delay,
    .transfer = vcard_transfer,
    .poll_revents = vcard_poll_revents,
    .close = vcard_close,
};

static void read_epoch(struct card *card, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (fscanf(file, "%lld", &card->epoch) != 1)
        SNDERR("no number in %s", path);
    fclose(file);
}

static void map_input(struct card *card, const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (fstat(file, &status) == 0 && status.st_size >= 2) {
        void *bytes = mmap(NULL, status.st_size, PROT_READ, MAP_SHARED, file, 0);
        if (bytes != MAP_FAILED) {
            card->input = bytes;
            card->input_length = status.st_size / 2;
        }
    }
    close(file);
}

static int limit_parameters(snd_pcm_ioplug_t *io)
{
    static const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED};
    static const unsigned format[] = {SND_PCM_FORMAT_S16_LE};
    int error = 0;
    error |= snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 1, access);
    error |= snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, format);
    error |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, 1, 2);
    error |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, RATE, RATE);
    error |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64 * 2, 96000 * 4);
    error |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
    error |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 128 * 2, 192000 * 4);
    return error ? -EINVAL : 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(vcard)
{
    const char *infile = NULL, *outfile = NULL, *epoch = NULL;
    long quantum = 1, ppm = 0, lifetime = 0;
    snd_config_iterator_t place, next;
    (void)root;
    snd_config_for_each(place, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(place);
        const char *name;
        if (snd_config_get_id(entry, &name) < 0)
            continue;
        if (!strcmp(name, "comment") || !strcmp(name, "type") || !strcmp(name, "hint"))
            continue;
        if (!strcmp(name, "infile"))
            snd_config_get_string(entry, &infile);
        else if (!strcmp(name, "outfile"))
            snd_config_get_string(entry, &outfile);
        else if (!strcmp(name, "epoch"))
            snd_config_get_string(entry, &epoch);
        else if (!strcmp(name, "quantum"))
            snd_config_get_integer(entry, &quantum);
        else if (!strcmp(name, "ppm"))
            snd_config_get_integer(entry, &ppm);
        else if (!strcmp(name, "lifetime"))
            snd_config_get_integer(entry, &lifetime);
        else {
            SNDERR("unknown field %s", name);
            return -EINVAL;
        }
    }

    struct card *card = calloc(1, sizeof *card);
    if (!card)
        return -ENOMEM;
    card->output = -1;
    card->epoch = now();
    card->quantum = quantum;
    card->speed = 1 + ppm * 1e-6;
    card->dies = lifetime > 0 ? now() + lifetime * 1000000LL : INT64_MAX;
    card->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    card->before_start = calloc(BEFORE_START, sizeof *card->before_start);
    if (epoch)
        read_epoch(card, epoch);
    if (stream == SND_PCM_STREAM_CAPTURE && infile)
        map_input(card, infile);
    if (stream == SND_PCM_STREAM_PLAYBACK && outfile)
        card->output = open(outfile, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (card->timer < 0 || !card->before_start) {
        free_card(card);
        return -ENOMEM;
    }

    card->io.version = SND_PCM_IOPLUG_VERSION;
    card->io.name = "virtual card";
    card->io.poll_fd = card->timer;
    card->io.poll_events = POLLIN;
    card->io.callback = &callbacks;
    card->io.private_data = card;
#ifdef SND_PCM_IOPLUG_FLAG_BOUNDARY_WA
    card->io.flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA;
#endif
    int error = snd_pcm_ioplug_create(&card->io, name, stream, mode);
    if (error < 0) {
        free_card(card);
        return error;
    }
    error = limit_parameters(&card->io);
    if (error < 0) {
        snd_pcm_ioplug_delete(&card->io);
        return error;
    }
    *pcmp = card->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(vcard);
