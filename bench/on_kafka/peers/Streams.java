import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The peer in Java: Kafka Streams, exactly_once_v2. Streams BOOTSTRAP PREFIX FOLDER COMMAND EVENT REPLY (Avro schemas). */
public final class Streams {
    private static final int FRAME_BYTES = 5;

    /** Reads a command, folds the counter of its key (count, total), writes an event and an answer: as work.py does. */
    private static final class Counter implements Processor<byte[], byte[], byte[], byte[]> {
        private final Schema command, event, reply;
        private final GenericDatumReader<GenericRecord> reader;
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<String, String> totals;
        private BinaryDecoder decoder;
        private BinaryEncoder encoder;

        Counter(String[] given) {
            command = new Schema.Parser().parse(given[3]);
            event = new Schema.Parser().parse(given[4]);
            reply = new Schema.Parser().parse(given[5]);
            reader = new GenericDatumReader<>(command);
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            totals = given.getStateStore("totals");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            try {
                byte[] value = record.value();
                decoder = DecoderFactory.get().binaryDecoder(value, FRAME_BYTES, value.length - FRAME_BYTES, decoder);
                GenericRecord told = reader.read(null, decoder);
                String key = new String(record.key(), StandardCharsets.UTF_8);
                String known = totals.get(key);
                String[] parts = known == null ? new String[] {"0", "0"} : known.split(",");
                long count = Long.parseLong(parts[0]) + 1;
                totals.put(key, count + "," + (Long.parseLong(parts[1]) + (long) told.get("amount")));
                context.forward(record.withValue(written(said(told, event, "bench.Added", "-e", ""), event, 2)), "events");
                String to = told.get("reply_to").toString();
                GenericRecord answer = said(told, reply, "bench.Count", "-r", to);
                answer.put("destination", to);
                answer.put("count", count);
                byte[] address = to.getBytes(StandardCharsets.UTF_8);
                context.forward(record.withKey(address).withValue(written(answer, reply, 3)), "replies");
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }

        private static GenericRecord said(GenericRecord told, Schema schema, String type, String suffix, String replyTo) {
            GenericRecord record = new GenericData.Record(schema);
            for (Schema.Field field : schema.getFields()) {
                if (told.hasField(field.name())) {
                    record.put(field.name(), told.get(field.name()));
                }
            }
            record.put("source", told.get("destination"));
            record.put("causation_id", told.get("id"));
            record.put("id", told.get("id") + suffix);
            record.put("type", type);
            record.put("reply_to", replyTo);
            record.put("at", System.currentTimeMillis() * 1_000);
            return record;
        }

        private byte[] written(GenericRecord record, Schema schema, int id) throws IOException {
            ByteArrayOutputStream out = new ByteArrayOutputStream(256);
            out.write(new byte[] {0, 0, 0, 0, (byte) id});
            encoder = EncoderFactory.get().binaryEncoder(out, encoder);
            new GenericDatumWriter<GenericRecord>(schema).write(record, encoder);
            encoder.flush();
            return out.toByteArray();
        }
    }

    public static void main(String[] given) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, given[1] + "-streams");
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given[0]);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, given[2]);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        properties.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        var bytes = Serdes.ByteArray();
        Topology topology = new Topology();
        topology.addSource("commands", bytes.deserializer(), bytes.deserializer(), given[1] + ".commands");
        topology.addProcessor("counter", () -> new Counter(given), "commands");
        var store = Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("totals"), Serdes.String(), Serdes.String());
        topology.addStateStore(store, "counter");
        for (String sink : Arrays.asList("events", "replies")) {
            topology.addSink(sink, given[1] + "." + sink, bytes.serializer(), bytes.serializer(), "counter");
        }
        KafkaStreams streams = new KafkaStreams(topology, properties);
        Thread ending = new Thread(() -> awaitTheEnd());
        ending.setDaemon(true);
        ending.start();
        System.out.printf(Locale.ROOT, "{\"started\": %f}%n", System.nanoTime() / 1e9);
        streams.start();
    }

    /** The bench closes stdin: halt, whatever runs. */
    private static void awaitTheEnd() {
        try {
            while (System.in.read() >= 0) { }
        } catch (IOException error) {
            System.err.println(error);
        }
        Runtime.getRuntime().halt(0);
    }
}
