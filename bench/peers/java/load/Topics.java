import java.util.List;

/** Creates topics, each given as NAME:PARTITIONS, and deletes those given as -NAME. */
public final class Topics {
  public static void main(String[] topics) throws Exception {
    for (String topic : topics) {
      int colon = topic.lastIndexOf(':');
      if (topic.startsWith("-")) Broker.delete(List.of(topic.substring(1)));
      else Broker.create(topic.substring(0, colon), Integer.parseInt(topic.substring(colon + 1)));
    }
  }
}
