import java.util.UUID;
import org.eclipse.paho.mqttv5.client.*;
import org.eclipse.paho.mqttv5.common.*;

/** Publishes an order that the broker keeps, durably, and gives to its consumers some seconds
 * later.   Delayed orders/2 5.00 10 */
class Delayed extends Callback {
	public static void main(String[] args) throws Exception {
		String topic = args[0], seconds = args[2];
		var id = UUID.randomUUID().toString(); // as a session that is kept is one for all pods
		var client = new MqttAsyncClient("tcp://localhost:1883", id, null);
		client.connect(options(60)).waitForCompletion();
		// In a session that is kept, the library sends it again after a lost connection.
		var sent = client.publish(topic, message(args[1], 1, "sqmqos-delay", seconds));
		sent.waitForCompletion();
		exitIfRefused(topic, sent); // as where the delay is no number (0x83)
		System.out.println(topic + ": comes in " + seconds + " s");
		client.disconnect().waitForCompletion();
		client.close();
	}
}
